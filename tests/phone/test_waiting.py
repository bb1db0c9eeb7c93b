"""Commands are answered by what happened."""

from __future__ import annotations

import asyncio

import pytest

from phone.protocol import events as ev
from phone.waiting import Verb, Waiting, refusal, within

HELD = ev.HoldChanged(at=1, call="a", local=True, remote=False)
RESUMED = ev.HoldChanged(at=1, call="a", local=False, remote=False)
REFUSED = ev.VerbFailed(at=1, call="a", verb="hold", status=488, reason="No")
ENDED = ev.CallEnded(at=1, call="a", by="remote", outcome="answered")


@pytest.mark.parametrize(
    ("verb", "call", "deciding", "others"),
    [
        ("hold", "a", HELD, [RESUMED, ev.HoldChanged(at=1, call="b", local=True, remote=False)]),
        ("resume", "a", RESUMED, [HELD, REFUSED]),
        ("hold", "a", REFUSED, [ev.VerbFailed(at=1, call="a", verb="transfer", status=488, reason="No")]),
        ("hold", "a", ENDED, [ev.NetworkOffline(at=1)]),
        (
            "transfer",
            "a",
            ev.TransferProgress(at=1, call="a", status=200, reason="OK", done=True),
            [HELD, ev.TransferProgress(at=1, call="a", status=100, reason="Trying", done=False)],
        ),
        (
            "register",
            "",
            ev.Registered(at=1, account="", expires_s=1),
            [ev.RegistrationFailed(at=1, attempt=1, max=3, status=503, reason=""), ENDED],
        ),
        (
            "register",
            "",
            ev.RegistrationFailed(at=1, attempt=1, max=3, status=401, reason="", credentials_refused=True),
            [ev.RegistrationChanged(at=1, state="registering")],
        ),
        (
            "unregister",
            "",
            ev.RegistrationChanged(at=1, state="unregistered"),
            [ev.Registered(at=1, account="", expires_s=1)],
        ),
    ],
)
def test_the_right_event_decides(verb: Verb, call: str, deciding: ev.Event, others: list[ev.Event]) -> None:
    async def main() -> None:
        waiting = Waiting()
        future = waiting.expect(verb, call)
        for event in others:
            waiting.settle(event)
            assert not future.done()
        waiting.settle(deciding)
        assert await within(future, 1) is deciding
        waiting.settle(deciding)  # nobody waits any more

    asyncio.run(main())


def test_no_event_in_time() -> None:
    async def main() -> None:
        assert await within(Waiting().expect("hold", "a"), 0.01) is None

    asyncio.run(main())


@pytest.mark.parametrize(
    ("event", "verb", "sentence"),
    [
        (HELD, "hold", None),
        (REFUSED, "hold", "The other side refused: 488 No"),
        (ENDED, "hold", "The call ended meanwhile."),
        (ENDED, "transfer", None),
        (None, "hold", "The other side has not answered yet."),
        (None, "transfer", None),
        (
            ev.TransferProgress(at=1, call="a", status=486, reason="Busy Here", done=True),
            "transfer",
            "The transfer failed: 486 Busy Here",
        ),
        (ev.Registered(at=1, account="", expires_s=1), "register", None),
        (ev.ReconnectionFailed(at=1, attempts=3, reason="503"), "register", "Not registered after 3 attempts: 503"),
    ],
)
def test_what_a_refusal_says(event: ev.Event | None, verb: Verb, sentence: str | None) -> None:
    assert refusal(event, verb) == sentence
