"""What happens, in plain sentences for whoever watches the engine's stderr: one per fact, each with the next step.

Only what a person would want to be told: the log has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phone.config_schema import MEDIA_CHOICES
from phone.protocol import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipcore.config import Account, Resilience

_TIMED_OUT = 408
_UNKNOWN_USER = 404
_NOT_ACCEPTABLE_HERE = 488


class Narrator:
    """Turns events into sentences, leaving out what was said already and has not changed."""

    def __init__(self, account: Account, resilience: Resilience, say: Callable[[str], None]) -> None:
        self._account = account.address_of_record.removeprefix("sip:")
        self._media = account.media
        self._resilience = resilience
        self._say = say
        self._trouble = ""
        self._registered = False
        self._wanted = True
        """Whether a lost connection is trouble, or was asked for."""

        self._given_up_for_now = False
        self._password_refused = False

    def note(self, event: ev.Event) -> None:
        """Say what ``event`` means, if it means something new."""
        match event:
            case ev.Registered():
                if not self._registered:
                    self._say(f"Registered as {event.account} for {event.expires_s} s.")
                self._registered, self._wanted, self._given_up_for_now, self._trouble = True, True, False, ""
            case ev.RegistrationChanged():
                self._wanted = event.state != "unregistered"
            case ev.Unregistered():
                if self._registered:
                    self._say(f"No longer registered as {self._account}.")
                self._registered = False
            case _:
                if sentence := self._sentence(event):
                    self._say(sentence)

    def _sentence(self, event: ev.Event) -> str:
        match event:
            case ev.RegistrationFailed():
                return self._new(self._refused(event))
            case ev.TransportDisconnected() if event.reason and self._wanted and not self._given_up_for_now:
                return self._new(_ended(event.reason))
            case ev.ReconnectionFailed():
                return self._given_up(event)
            case ev.NetworkOffline():
                return "The network is down; the connection is made again when it is back."
            case ev.NetworkOnline():
                return "The network is back."
            case ev.AudioProblem():
                return _ended(event.detail)
            case ev.AudioRestored():
                return "Sound works again."
            case ev.IncomingCall():
                who = f"{event.display_name} ({event.peer})" if event.display_name else event.peer
                return f"{who} is calling; answer with offhook ctl answer {event.call}."
            case ev.CallEnded():
                return self._over(event)
            case _:
                return ""

    def _new(self, sentence: str) -> str:
        """``sentence``, unless it is what was said last about the same trouble."""
        if sentence == self._trouble:
            return ""
        self._trouble = sentence
        return sentence

    def _refused(self, event: ev.RegistrationFailed) -> str:
        answer = f"{event.status} {event.reason}".rstrip()
        self._password_refused, self._given_up_for_now = event.credentials_refused, False
        if event.credentials_refused:
            return (
                f"The PBX refused the password of {self._account} ({answer}); "
                "correct it with offhook config set-password, then run offhook ctl register."
            )
        if event.status == _TIMED_OUT:
            return f"The PBX did not answer the registration of {self._account} in time; it is tried again."
        if event.status == _UNKNOWN_USER:
            return f"The PBX does not know {self._account} ({answer}); check username and domain in the settings."
        return f"The PBX refused to register {self._account} ({answer}); it is tried again where that can help."

    def _given_up(self, event: ev.ReconnectionFailed) -> str:
        self._given_up_for_now = True
        reason = event.reason.rstrip(".")
        settings = self._resilience
        retry = settings.auth_retry if self._password_refused else settings.background_retry
        then = f"it is tried again every {retry:g} s" if retry else "nothing more is tried"
        why = f": {reason}" if reason else ""
        return f"Not registered after {event.attempts} attempts{why}; {then}, and at once by offhook ctl register."

    def _over(self, event: ev.CallEnded) -> str:
        if event.outcome == "answered":
            return f"The call with {event.peer} is over after {event.duration_s:.0f} s."
        if event.outcome == "failed" and event.status == _NOT_ACCEPTABLE_HERE:
            others = [choice for choice in MEDIA_CHOICES if choice != self._media]
            return (
                f"The call to {event.peer} came to nothing: its media was refused ({event.status} {event.reason}); "
                f"the PBX may need another setting than media = {self._media}: {', '.join(others)}."
            )
        if event.outcome in ("busy", "failed", "rejected") and event.by == "remote":
            return f"The call to {event.peer} came to nothing: {event.status} {event.reason}".rstrip() + "."
        return f"Missed call from {event.peer}." if event.outcome == "missed" else ""


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."
