"""What an engine writes down for its successor, and what the successor believes of it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phone.journal import Journal, KeptCall, Record
from phone.protocol.codec import from_json, to_json
from phone.protocol.snapshots import CallSlice
from phone.store.journal import RESUME_WITHIN_S, JournalFile, Moment, boot_id
from sipcore.dialog.snapshot import CallSnapshot, DialogSnapshot, FarewellSnapshot
from sipcore.resilience.registrar import BindingSnapshot
from sipcore.sdp.snapshot import NegotiationSnapshot

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ACCOUNT = "1001@pbx"
TEXT = st.text(max_size=30)
DIALOG = st.builds(
    DialogSnapshot,
    call_id=TEXT,
    local=TEXT,
    remote=TEXT,
    remote_target=TEXT,
    route_set=st.lists(TEXT, max_size=2).map(tuple),
    local_cseq=st.integers(0, 2**31),
    remote_cseq=st.none() | st.integers(0, 2**31),
    remote_allow=st.lists(TEXT, max_size=2).map(tuple),
)
SHOWN = st.builds(
    CallSlice,
    id=TEXT,
    direction=st.sampled_from(("in", "out")),
    state=st.just("active"),
    peer=TEXT,
    started_at=st.floats(0, 1e9),
    answered_at=st.none() | st.floats(0, 1e9),
    held=st.booleans(),
    muted=st.booleans(),
)
CALL = st.builds(
    KeptCall,
    sip=st.builds(
        CallSnapshot,
        id=TEXT,
        outgoing=st.booleans(),
        dialog=DIALOG,
        negotiation=st.builds(
            NegotiationSnapshot,
            local_sdp=TEXT,
            remote_sdp=TEXT,
            version=st.integers(0, 2**40),
            address=TEXT,
            rtp_port=st.integers(0, 65535),
            remote_address=TEXT,
            keying=st.sampled_from(("none", "sdes", "dtls")),
        ),
        holding=st.booleans(),
        session_interval=st.integers(0, 10**6),
        we_refresh=st.booleans(),
        expires_at=st.none() | st.floats(0, 1e9),
    ),
    shown=SHOWN,
)
RECORD = st.builds(
    Record,
    binding=st.builds(BindingSnapshot, call_id=TEXT, cseq=st.integers(0, 2**31), contact_host=TEXT),
    calls=st.lists(CALL, max_size=2).map(tuple),
    others=st.lists(SHOWN, max_size=2).map(tuple),
    farewells=st.lists(st.builds(FarewellSnapshot, dialog=DIALOG), max_size=2).map(tuple),
    current=TEXT,
    recorded=st.integers(0, 99),
)
EMPTY = Record(binding=BindingSnapshot(call_id="c", cseq=100))


class Clock:
    """A boot's clock, and the wall's beside it."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def journal(path: Path, clock: Clock, boot: str = "boot") -> Journal:
    return Journal(path / "journal.db", ACCOUNT, boot=boot, clock=clock, wall=lambda: clock.now + 1000.0)


@given(RECORD)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Through JSON as it is in the file."""
    assert from_json(Record, json.loads(json.dumps(to_json(record)))) == record


def test_calls_are_fresh_for_five_minutes_of_one_boot(tmp_path: Path) -> None:
    """Counted from the last sign of life, not from the last change."""
    clock = Clock()
    first = journal(tmp_path, clock)
    first.write(EMPTY)
    clock.now += 600
    first.beat()
    clock.now += RESUME_WITHIN_S - 1
    found = journal(tmp_path, clock).read_untrusted()
    assert found is not None
    assert (found.record, found.fresh, found.alive_at) == (EMPTY, True, 1650.0)
    clock.now += 2
    late = journal(tmp_path, clock).read_untrusted()
    assert late is not None
    assert not late.fresh


def test_another_boot_or_none_that_is_known_is_never_fresh(tmp_path: Path) -> None:
    """Its clock began anew, its ports are somebody else's."""
    clock = Clock()
    journal(tmp_path, clock).write(EMPTY)
    for boot in ("another", ""):
        found = journal(tmp_path, clock, boot).read_untrusted()
        assert found is not None
        assert not found.fresh
    clock.now -= 20  # the clock of a boot does not run backwards: this is another
    found = journal(tmp_path, clock).read_untrusted()
    assert found is not None
    assert not found.fresh


def test_a_journal_that_kills_its_readers_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three engines died of it; the next only end the calls, and should they die of that, it is left alone."""
    clock = Clock()
    journal(tmp_path, clock).write(EMPTY)
    found = [journal(tmp_path, clock).read_untrusted() for _ in range(7)]
    assert [None if item is None else item.fresh for item in found] == [True] * 3 + [False] * 3 + [None]
    assert caplog.text.count("no call is resumed") == 4


def test_the_same_is_written_once(tmp_path: Path) -> None:
    """Most of what happens changes nothing that has to be kept."""
    clock = Clock()
    kept = journal(tmp_path, clock)
    kept.write(EMPTY)
    clock.now += 5
    kept.write(dataclasses.replace(EMPTY))
    found = kept.read_untrusted()
    assert found is not None
    assert found.alive_at == 1050.0


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """Nor does a cleared one."""
    clock = Clock()
    kept = journal(tmp_path, clock)
    kept.write(EMPTY)
    kept.clear()
    kept.close()
    assert journal(tmp_path, clock).read_untrusted() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(RECORD, st.data())
def test_a_damaged_record_is_a_line_in_the_log(tmp_path: Path, record: Record, data: st.DataObject) -> None:
    """Whatever stands there."""
    whole = json.dumps(to_json(record))
    text = data.draw(
        st.integers(0, len(whole)).map(lambda n: whole[:n])
        | TEXT
        | st.just("[" * 10_000)
        | st.just("null")
        | st.just("{}")
        | st.just('{"binding": {"call_id": 5, "cseq": 1}}')
    )
    JournalFile(tmp_path / "journal.db", ACCOUNT).write(text, Moment("boot", 50.0, 1050.0))
    found = journal(tmp_path, Clock()).read_untrusted()
    assert found is None or found.record == record


def test_a_journal_that_would_keep_nothing_says_so(tmp_path: Path) -> None:
    """No engine hands a call over to one that would not find it."""
    clock = Clock()
    assert journal(tmp_path, clock).works
    assert not journal(tmp_path, clock, boot="").works
    broken = journal(tmp_path / "nowhere" / "journal.db", clock)
    (tmp_path / "nowhere").write_text("a file")
    broken.write(EMPTY)
    assert not broken.works


def test_this_machine_knows_its_boot() -> None:
    """The same all the time."""
    assert boot_id() == boot_id()
