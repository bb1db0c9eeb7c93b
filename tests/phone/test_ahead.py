"""What of a journal sounds before there is a phone; that it goes on in one is tests/phone/test_resume.py."""

from __future__ import annotations

import dataclasses
import socket
from typing import TYPE_CHECKING

import pytest

from audio.io.commands import Stop
from audio.io.settings import AudioSettings
from phone import ahead
from phone.journal import Journal, KeptCall, Record
from phone.protocol.snapshots import CallSlice
from phone.store.journal import RESUME_WITHIN_S, JournalFile, Moment
from sipcore.dialog.snapshot import CallSnapshot, DialogSnapshot
from sipcore.resilience.registrar import BindingSnapshot
from sipcore.sdp.snapshot import NegotiationSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNT = "1001@pbx"
SETTINGS = AudioSettings(input="none", output="none", ring="none")
ALIVE_AT = 50.0
_SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"


@pytest.fixture
def far_end() -> Iterator[socket.socket]:
    """Where a call's sound is sent to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        end.settimeout(5)
        yield end


def record(far_end: socket.socket) -> Record:
    """One plain call, at a port that the far end's number makes likely to be free."""
    port = far_end.getsockname()[1]
    ours = 20000 + port % 5000 * 2
    negotiation = NegotiationSnapshot(
        local_sdp=_SDP.format(port=ours),
        remote_sdp=_SDP.format(port=port),
        version=1,
        address="127.0.0.1",
        rtp_port=ours,
        remote_address="127.0.0.1",
        keying="none",
    )
    dialog = DialogSnapshot(
        call_id="c", local="<sip:a@b>;tag=1", remote="<sip:c@d>;tag=2", remote_target="sip:c@d", local_cseq=1
    )
    call = CallSnapshot(id="sip", outgoing=True, dialog=dialog, negotiation=negotiation)
    shown = CallSlice(id="a", direction="out", state="active", peer="600", started_at=1.0, answered_at=2.0)
    return Record(binding=BindingSnapshot(call_id="c", cseq=1), calls=(KeptCall(sip=call, shown=shown),), current="a")


def leave(directory: Path, what: Record) -> None:
    """An engine wrote this, and died."""
    journal = Journal(directory / "journal.db", ACCOUNT, boot="boot", clock=lambda: ALIVE_AT)
    journal.write(what)
    journal.close()


def begin(directory: Path, *, boot: str = "boot", now: float = ALIVE_AT + 1) -> ahead.Ahead | None:
    return ahead.begin(directory / "journal.db", ACCOUNT, SETTINGS, boot=boot, clock=lambda: now)


def end(begun: ahead.Ahead) -> None:
    assert begun.sound is not None
    begun.sound.thread.send(Stop(quietly=True))
    assert begun.sound.thread.join(5)
    begun.sound.guard.release()


def test_a_plain_call_sounds(tmp_path: Path, far_end: socket.socket) -> None:
    """Nothing else of the phone is there; the journal can still be read by it."""
    leave(tmp_path, record(far_end))
    begun = begin(tmp_path)
    assert begun is not None
    assert begun.sound is not None
    first = far_end.recv(2048)
    assert (first[0] >> 6, first[1] & 0x7F) == (2, 0)
    found = Journal(tmp_path / "journal.db", ACCOUNT, boot="boot", clock=lambda: ALIVE_AT, ahead=begun).read_untrusted()
    assert found is not None
    assert (found.record, found.fresh) == (record(far_end), True)
    end(begun)


def test_what_was_not_left_or_is_too_old_does_not_sound(tmp_path: Path, far_end: socket.socket) -> None:
    """The reading is kept, for the BYEs and the history."""
    assert begin(tmp_path) is None
    leave(tmp_path, record(far_end))
    for begun in (begin(tmp_path, boot="another"), begin(tmp_path, now=ALIVE_AT + RESUME_WITHIN_S)):
        assert begun is not None
        assert begun.sound is None


def test_a_journal_that_kills_its_readers_does_not_sound(tmp_path: Path, far_end: socket.socket) -> None:
    """Three engines began with it and wrote nothing any more."""
    leave(tmp_path, record(far_end))
    for _ in range(3):
        begun = begin(tmp_path)
        assert begun is not None
        end(begun)
    last = begin(tmp_path)
    assert last is not None
    assert last.sound is None


def test_calls_with_keys_wait_for_signalling(tmp_path: Path, far_end: socket.socket) -> None:
    """No key is journalled."""
    kept = record(far_end)
    (call,) = kept.calls
    secret = dataclasses.replace(call.sip, negotiation=dataclasses.replace(call.sip.negotiation, keying="sdes"))
    leave(tmp_path, dataclasses.replace(kept, calls=(dataclasses.replace(call, sip=secret),)))
    begun = begin(tmp_path)
    assert begun is not None
    assert begun.sound is None


@pytest.mark.parametrize("text", ["", "[]", '{"calls": 1}', '{"calls": [{}]}', "[" * 100_000])
def test_a_damaged_journal_does_not_sound(tmp_path: Path, text: str) -> None:
    JournalFile(tmp_path / "journal.db", ACCOUNT).write(text, Moment("boot", ALIVE_AT, 1.0))
    begun = begin(tmp_path)
    assert begun is not None
    assert begun.sound is None
