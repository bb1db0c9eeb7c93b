"""The resilience log (R6 of docs/resilience.md): every attempt, wait, keep-alive and state, in words to search for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from phone.protocol import events as ev

if TYPE_CHECKING:
    from phone.state import PhoneState

_log = logging.getLogger(__name__)


class EventLog:
    """Writes events down; what is routine only when the log is verbose."""

    def __init__(self) -> None:
        self._lost = False

    def note(self, event: ev.Event, state: PhoneState) -> None:
        """Log ``event``; ``state`` is the one after it."""
        match event:
            case ev.KeepAlive() | ev.KeepAliveStarted() | ev.KeepAliveStopped():
                self._keep_alive(event)
            case ev.TransportConnecting():
                _log.info("= transport connecting to %s", event.server)
            case ev.TransportConnected():
                _log.info("= transport connected to %s", event.server)
            case ev.TransportDisconnected():
                self._lost = True
                _log.info("= transport disconnected: %s", event.reason or "closed")
            case ev.NetworkOffline():
                _log.info("! Network connection lost")
            case ev.NetworkOnline():
                _log.info("= Network connection restored")
                if state.registration.state in ("registering", "failed"):
                    _log.info("= Auto-reconnecting after network restoration")
            case ev.IncomingCall():
                _log.info("< call %s from %s", event.call, event.peer_uri)
            case ev.OutgoingCall():
                _log.info("> call %s to %s", event.call, event.peer)
            case ev.CallEnded():
                _log.info("= call %s ended by %s: %s %s", event.call, event.by, event.status, event.reason)
            case ev.AudioProblem():
                _log.warning("! sound: %s", event.detail)
            case ev.DtmfReceived() | ev.DtmfSent():
                _log.debug("= call %s: %s", event.call, event.event)  # digits may be a PIN
            case ev.MediaMeasured() | ev.HistoryAdded():
                pass
            case _:
                self._registration(event)

    def _registration(self, event: ev.Event) -> None:
        match event:
            case ev.RegistrationAttempt():
                _log.info("> Registration attempt %d/%d", event.attempt, event.max)
            case ev.RetryScheduled() if event.what == "registration":
                _log.info("= Waiting %dms before retry attempt %d", round(event.wait_s * 1000), event.attempt)
            case ev.RetryScheduled():
                _log.info("= Waiting %dms before connection attempt %d", round(event.wait_s * 1000), event.attempt)
            case ev.Registered():
                _log.info("< Registration successful (%s, expires in %d s)", event.account, event.expires_s)
            case ev.RegistrationFailed():
                _log.warning(
                    "! Registration attempt %d/%d failed: %d %s", event.attempt, event.max, event.status, event.reason
                )
            case ev.ReconnectionAttempting():
                _log.info("> Reconnection attempt %d/%d", event.attempt, event.max)
            case ev.ReconnectionSuccess():
                _log.info("= Reconnection successful after %.1f s", event.elapsed_s)
            case ev.ReconnectionFailed():
                _log.error("! Reconnection failed after %d attempts: %s", event.attempts, event.reason)
            case _:
                _log.debug("= %s", event)

    def _keep_alive(self, event: ev.KeepAlive | ev.KeepAliveStarted | ev.KeepAliveStopped) -> None:
        match event:
            case ev.KeepAliveStarted():
                _log.info("= Starting keep-alive mechanism (interval: %gs)", event.interval_s)
            case ev.KeepAliveStopped():
                _log.info("= Stopping keep-alive mechanism")
            case ev.KeepAlive(result="sent"):
                _log.debug("> Sending keep-alive OPTIONS request")
                _log.debug("> Keep-alive OPTIONS request sent")
            case ev.KeepAlive(result="answered"):
                _log.debug("< Keep-alive answered after %.1f ms", event.rtt_ms or 0.0)
            case ev.KeepAlive():
                _log.warning("! Keep-alive missed")
