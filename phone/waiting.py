"""Lets a command wait for the far end's word: commands are answered by what happened, not by what was sent.

hold, resume ── HoldChanged · VerbFailed · CallEnded        transfer ── TransferProgress · VerbFailed · CallEnded
register ── Registered · credentials refused · given up     unregister ── RegistrationChanged
"""

from __future__ import annotations

import asyncio
from typing import Literal

from phone.protocol import events as ev
from phone.protocol.phrases import Phrase

Verb = Literal["hold", "resume", "transfer", "register", "unregister"]
_FINAL, _FINAL_REFUSAL = 200, 300


class Waiting:
    """Who waits for what. Several may wait for one thing."""

    def __init__(self) -> None:
        self._futures: list[tuple[Verb, str, asyncio.Future[ev.Event]]] = []

    def expect(self, verb: Verb, call: str = "") -> asyncio.Future[ev.Event]:
        """A future of the event that decides about ``verb``; ask before the verb is sent."""
        future: asyncio.Future[ev.Event] = asyncio.get_running_loop().create_future()
        self._futures = [entry for entry in self._futures if not entry[2].done()]
        self._futures.append((verb, call, future))
        return future

    def settle(self, event: ev.Event) -> None:
        """Give ``event`` to whom it decides for."""
        for verb, call, future in self._futures:
            if not future.done() and _decides(event, verb, call):
                future.set_result(event)
        self._futures = [entry for entry in self._futures if not entry[2].done()]


async def within(future: asyncio.Future[ev.Event], timeout_s: float) -> ev.Event | None:
    """The event, or None when it did not come in time."""
    try:
        return await asyncio.wait_for(future, timeout_s)
    except TimeoutError:
        return None


def refusal(event: ev.Event | None, verb: Verb) -> str | None:
    """Why ``event`` means that ``verb`` was not done, as a sentence; None when it was."""
    match event:
        case None if verb == "transfer":
            return None  # the order was taken; whom it goes to may ring for long
        case None:
            return Phrase("The other side has not answered yet.")
        case ev.VerbFailed():
            return _answered(Phrase("The other side refused"), event.status, event.reason)
        case ev.CallEnded() if verb != "transfer":
            return Phrase("The call ended meanwhile.")
        case ev.TransferProgress() if event.status >= _FINAL_REFUSAL:
            return _answered(Phrase("The transfer failed"), event.status, event.reason)
        case ev.RegistrationFailed():
            return _answered(Phrase("The PBX refused the registration"), event.status, event.reason)
        case ev.ReconnectionFailed():
            return _because(Phrase("Not registered after {n} attempts", n=event.attempts), event.reason)
        case ev.RegistrationChanged() if verb == "register":
            return _because(Phrase("Not registered"), event.reason)
        case _:
            return None


def _answered(what: Phrase, status: int, reason: str) -> Phrase:
    return (
        Phrase("{what}: {status} {reason}", what=what, status=status, reason=reason)
        if reason
        else Phrase("{what}: {status}", what=what, status=status)
    )


def _because(what: Phrase, why: str) -> Phrase:
    return Phrase("{what}: {why}", what=what, why=why) if why else what


def _decides(event: ev.Event, verb: Verb, call: str) -> bool:
    match event:
        case ev.HoldChanged():
            return event.call == call and verb == ("hold" if event.local else "resume")
        case ev.VerbFailed():
            return event.call == call and verb == event.verb
        case ev.TransferProgress():
            return event.call == call and verb == "transfer" and (event.done or event.status >= _FINAL)
        case ev.CallEnded():
            return event.call == call
        case ev.Registered() | ev.ReconnectionFailed():
            return verb == "register"
        case ev.RegistrationFailed():
            return verb == "register" and event.credentials_refused
        case ev.RegistrationChanged():
            if verb == "register":
                return event.state in ("unregistered", "failed")
            return verb == "unregister" and event.state == "unregistered"
        case _:
            return False
