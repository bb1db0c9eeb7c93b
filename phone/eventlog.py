"""What the log says of calls and sound; signalling and resilience (R6 of docs/resilience.md) write their own lines."""

from __future__ import annotations

import logging

from phone.protocol import events as ev

_log = logging.getLogger(__name__)


def log_event(event: ev.Event) -> None:
    """Log ``event`` where nobody below has: digits never, they may be a PIN."""
    match event:
        case ev.IncomingCall():
            _log.info("< call %s from %s", event.call, event.peer_uri)
        case ev.OutgoingCall():
            _log.info("> call %s to %s", event.call, event.peer)
        case ev.CallStateChanged():
            _log.info("= call %s %s %s %s", event.call, event.state, event.status or "", event.reason)
        case ev.CallEnded():
            _log.info("= call %s ended by %s: %s %s", event.call, event.by, event.outcome, event.reason)
        case ev.SignallingChanged(up=False):
            _log.info("= call %s: signalling lost, audio goes on", event.call)
        case ev.SignallingChanged():
            _log.info("= call %s: signalling is back", event.call)
        case ev.HoldChanged():
            _log.info("= call %s held: by us %s, by the far end %s", event.call, event.local, event.remote)
        case ev.VerbFailed():
            _log.warning("! call %s: %s refused, %d %s", event.call, event.verb, event.status, event.reason)
        case ev.MediaNegotiated():
            security = event.security or "not encrypted"
            _log.info("= call %s media %s %s, %s", event.call, event.codec, event.direction, security)
        case ev.MediaSilent():
            _log.warning("! call %s: nothing heard for %.0f s", event.call, event.silent_s)
        case ev.AudioProblem():
            _log.warning("! sound: %s", event.detail)
        case _:
            pass
