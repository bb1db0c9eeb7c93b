"""S1 to S6 of docs/resilience.md as a user sees them: every toast and every line of the verbose log, in order.

The real stack, translator, state and toast table run on virtual time, so that an outage of minutes takes milliseconds.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import pytest

from sipcore.auth.credentials import Credentials
from sipcore.config import Resilience
from tests.tui.story import Story
from tui.i18n import set_language

if TYPE_CHECKING:
    from collections.abc import Iterator

Words = tuple[str, str, str, float]

TRYING: Words = ("Reconnecting...", "Connection lost, trying again (1 of 10)", "warning", 10)
BACK: Words = ("Reconnected", "Registered again after # s", "success", 5)
OFFLINE: Words = ("Network Offline", "Will reconnect when it is back", "warning", 8)
RESTORED: Words = ("Network Restored", "Reconnecting", "information", 5)

CONNECTED = [
    "transport connected to wss://pbx.sim:8089/ws",
    "Registration attempt 1/3",
    "Registration successful",
    "Starting keep-alive mechanism (interval: 90s)",
    "Reconnected after # s",
]
KEEP_ALIVE = ["Sending keep-alive OPTIONS request", "Keep-alive OPTIONS request sent", "Keep-alive answered in # ms"]

CLAIMS = {
    "Reconnecting...": "trying",
    "Network Restored": "trying",
    "Reconnected": "up",
    "Network Offline": "waiting",
    "Reconnection Failed": "failed",
    "Registration refused": "failed",
}
"""What each toast says is the case now."""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    set_language("en")
    yield
    set_language("en")


def toasts(story: Story) -> list[tuple[str, str, str, float]]:
    """What was told, with measured times left out."""
    return [
        (title, re.sub(r"\d+\.\d+", "#", message), severity, seconds)
        for title, message, severity, seconds in (told.words for told in story.told)
    ]


def lines(story: Story) -> list[str]:
    """What was logged, with measured times left out."""
    measured = re.compile(r"(?<=after )\d+\.\d+(?= s)|(?<=answered in )\d+(?= ms)")
    return [measured.sub("#", line) for _, line in story.lines]


class Witness(Story):
    """A story that fails at the moment two toasts contradict each other on the screen."""

    def _show(self, toast: object, seconds: float) -> None:
        super()._show(toast, seconds)  # type: ignore[arg-type]
        claims = {CLAIMS[standing.title] for standing in self.standing if standing.title in CLAIMS}
        assert len(claims) <= 1, [standing.title for standing in self.standing]


def refused_from(first: int, last: int) -> list[str]:
    """The log of connection attempts at a PBX that is down."""
    return [
        line
        for n in range(first, last + 1)
        for line in (f"Reconnection attempt {n}/10", f"connection attempt {n} failed: Connection refused by pbx.sim.")
    ]


# --- S1: two or three seconds -------------------------------------------------------------------------------------


def test_s1_a_reset() -> None:
    """S1: loss seen, keep-alive stopped, "Reconnecting", registered again, "Reconnected", keep-alive running again."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(1.0)
        assert story.banner().startswith("Reconnecting, attempt")
        story.wait(2.0)
        story.pbx.start()
        story.wait(110.0)
    assert toasts(story) == [TRYING, BACK]
    assert story.told[-1].at < 10.0
    last = int(re.search(r"\d+", [line for line in lines(story) if line.startswith("Reconnection attempt")][-1])[0])  # type: ignore[index]
    assert lines(story) == [
        "transport disconnected: pbx.sim:8089 broke the connection.",
        "Keep-alive mechanism stopped",
        *refused_from(1, last - 1),
        f"Reconnection attempt {last}/10",
        *CONNECTED,
        *KEEP_ALIVE,
    ]
    assert story.banner() == ""


def test_s1_a_hole_that_tcp_survives_shows_nothing() -> None:
    """S1: "A silent hole that TCP survives shows nothing"."""
    story = Witness()
    with story.begin():
        story.phone.wire.hole_until = story.world.now + 2.5
        story.wait(60.0)
    assert toasts(story) == []
    assert lines(story) == []


# --- S2: long outages ---------------------------------------------------------------------------------------------


def test_s2a_refused_for_two_minutes() -> None:
    """S2 (a): one "Reconnecting..." however long it takes, a banner that counts on, then "Reconnected"."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        banners = []
        for _ in range(120):
            story.wait(1.0)
            banners.append(story.banner())
        story.pbx.start()
        story.wait(20.0)
    assert toasts(story) == [TRYING, BACK]
    assert 120.0 < story.told[-1].at < 126.0
    counting = re.compile(r"Reconnecting, attempt 5 of 10 in \d+ s +pbx.sim:8089 broke.*")
    assert any(counting.fullmatch(banner) for banner in banners)
    attempts = [line for line in lines(story) if line.startswith("Reconnection attempt")]
    assert lines(story) == [
        "transport disconnected: pbx.sim:8089 broke the connection.",
        "Keep-alive mechanism stopped",
        *refused_from(1, len(attempts) - 1),
        attempts[-1],
        *CONNECTED,
    ]


def test_s2b_longer_than_all_attempts() -> None:
    """S2 (b): ``reconnectionFailed{attempts: 10}``, "Reconnection Failed" with Retry now, which works by hand; before,
    the background retry of 3.2 goes on without a word."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(400.0)
        assert story.banner() == "Not registered: Connection refused by pbx.sim."
        quiet = [line for line in lines(story) if line.startswith("connection attempt 1") and "attempt 1 " not in line]
        story.pbx.start()
        story.world.note("the user presses Retry now")
        story.phone.run(lambda now: story.phone.stack.retry_now(now))
        story.wait(30.0)
    failed: Words = (
        "Reconnection Failed",
        "After 10 attempts: Connection refused by pbx.sim. Ctrl+R tries again now.",
        "error",
        8,
    )
    assert toasts(story)[:2] == [TRYING, failed]
    assert toasts(story)[-1] == BACK
    assert set(toasts(story)[2:-1]) <= {TRYING}
    assert 90.0 < story.told[1].at < 240.0
    assert story.told[-1].at < 405.0
    assert [line for line in lines(story) if line.startswith(("Reconnection attempt", "Reconnection failed"))][:11] == [
        *(f"Reconnection attempt {n}/10" for n in range(1, 11)),
        "Reconnection failed after 10 attempts: Connection refused by pbx.sim.",
    ]
    assert len(quiet) >= 3, "the background retry is only in the log"


def test_s2b_where_nobody_does_anything() -> None:
    """The background retry finds the PBX when it is back, and only then is something told again."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(300.0)
        story.pbx.start()
        story.wait(100.0)
    assert story.titles[:2] == ["Reconnecting...", "Reconnection Failed"]
    assert story.titles[-1] == "Reconnected"
    assert story.titles.count("Reconnection Failed") == 1


# --- S3: the password changed -------------------------------------------------------------------------------------


def test_s3_the_password_changed() -> None:
    """S3: three attempts, "Reconnection failed after 3 attempts", and new credentials reconnect without a restart."""
    story = Witness(expires_s=60)
    with story.begin():
        story.pbx.passwords["1001"] = "new"
        story.wait(120.0)
        assert story.banner() == "The PBX refuses the password: 401 Unauthorized"
        story.phone.credentials = credentials = Credentials("1001", "new")
        story.phone.run(lambda now: story.phone.stack.set_credentials(credentials, now))
        story.wait(20.0)
    assert toasts(story) == [
        (
            "Registration refused",
            "The PBX says 401 Unauthorized. Check the password in Settings.",
            "error",
            8,
        ),
        ("Reconnection Failed", "After 3 attempts: 401 Unauthorized. Ctrl+R tries again now.", "error", 8),
        TRYING,
        BACK,
    ]
    assert lines(story) == [
        "Registration attempt 1/3",
        "Registration attempt refused: 401 Unauthorized",
        "Waiting 2000ms before retry attempt 2",
        "Registration attempt 2/3",
        "Registration attempt refused: 401 Unauthorized",
        "Waiting 4000ms before retry attempt 3",
        "Registration attempt 3/3",
        "Registration attempt refused: 401 Unauthorized",
        "Registration failed after 3 attempts: 401 Unauthorized",
        "Reconnection failed after 3 attempts: 401 Unauthorized",
        "transport disconnected: registration refused",
        "Keep-alive mechanism stopped",
        "Reconnection attempt 1/10",
        *CONNECTED,
    ]
    first, failed = story.told[0].at, story.told[1].at
    assert failed - first == pytest.approx(2 + 4 + 8, abs=0.5), "attempts at 0, 2 and 6 s, then 8 s (R1)"


# --- S4: another network ------------------------------------------------------------------------------------------


def test_s4_wifi_to_cellular() -> None:
    """S4: offline toast, online 1 to 2 s later, automatic reconnect from the new address, "Reconnected"."""
    story = Witness()
    with story.begin():
        story.phone.network(False)
        story.wait(1.5)
        assert story.banner() == "Network offline: will reconnect when it is back"
        story.phone.network(True, "192.0.2.77")
        story.wait(30.0)
    assert toasts(story) == [OFFLINE, RESTORED, TRYING, BACK]
    assert story.told[-1].at < 3.0
    assert lines(story) == [
        "Network connection lost",
        "transport disconnected: network offline",
        "Keep-alive mechanism stopped",
        "Network connection restored",
        "Auto-reconnecting after network restoration",
        "Reconnection attempt 1/10",
        *CONNECTED,
    ]


def test_s4_offline_for_minutes_burns_no_attempt() -> None:
    """R5: offline stops burning attempts; R2: while the local link is down none is used up."""
    story = Witness()
    with story.begin():
        story.phone.network(False)
        story.wait(300.0)
        assert toasts(story) == [OFFLINE]
        story.phone.network(True)
        story.wait(10.0)
    assert toasts(story) == [OFFLINE, RESTORED, TRYING, BACK]
    assert next(line for line in lines(story) if "attempt" in line) == "Reconnection attempt 1/10"


def test_offline_in_the_midst_of_reconnecting() -> None:
    """ "Reconnecting..." gives way to "Network Offline": nothing is tried any more."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(2.0)
        assert [toast.title for toast in story.standing] == ["Reconnecting..."]
        story.phone.network(False)
        story.wait(0.1)
        assert [toast.title for toast in story.standing] == ["Network Offline"]
        story.pbx.start()
        story.phone.network(True)
        story.wait(10.0)
        assert story.titles[-1] == "Reconnected"


# --- S5: ten idle minutes -----------------------------------------------------------------------------------------


def test_s5_ten_idle_minutes() -> None:
    """S5: no disconnection, and nothing to be told; the keep-alive every 90 s is in the log (R4, R6)."""
    story = Witness()
    with story.begin():
        story.wait(600.0)
    assert toasts(story) == []
    sent = [at for at, line in story.lines if line == "Sending keep-alive OPTIONS request"]
    assert len(sent) == 6
    assert all(b - a == pytest.approx(90.0, abs=1.0) for a, b in itertools.pairwise(sent))
    rest = [line for line in lines(story) if line not in KEEP_ALIVE]
    assert rest == ["Registration attempt 1/3", "Registration successful"], "the refresh"


def test_s5_a_nat_nastier_than_the_interval() -> None:
    """S5: "detected and healed by itself, and the interval adapts": one loss, not one a minute."""
    story = Witness()
    with story.begin():
        story.phone.wire.nat_idle_s = 12.0
        story.wait(600.0)
    assert toasts(story) == [TRYING, BACK]


# --- S6: the PBX restarts -----------------------------------------------------------------------------------------


def test_s6_a_restart_of_the_pbx() -> None:
    """S6: reconnects within the configured attempts, registers, "Reconnected"."""
    story = Witness()
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(30.0)
        story.pbx.start()
        story.wait(40.0)
    assert toasts(story) == [TRYING, BACK]
    assert story.told[-1].at < 36.0
    assert lines(story)[-5:] == CONNECTED


# --- all of them --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_no_attempt_is_announced_beyond_the_last(attempts: int) -> None:
    """R1 and R2: what is scheduled or attempted never counts past the maximum."""
    story = Witness(Resilience(register_attempts=attempts, max_reconnection_attempts=attempts))
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(200.0)
        story.pbx.start()
        story.pbx.passwords["1001"] = "new"
        story.wait(200.0)
    counted = [event for event in story.events if hasattr(event, "attempt") and hasattr(event, "max")]
    assert counted
    assert all(event.attempt <= event.max for event in counted), [
        (event.event, event.attempt, event.max) for event in counted if event.attempt > event.max
    ]


def test_no_secret_is_in_any_line() -> None:
    """R6: "No password, digest response or SDES key is ever in a log"."""
    story = Witness(expires_s=60)
    with story.begin():
        story.pbx.stop(silently=False)
        story.wait(5.0)
        story.pbx.start()
        story.wait(100.0)
    text = "\n".join(line for _, line in story.lines)
    assert "right" not in text
    assert "response=" not in text
