"""The session timer of one call (RFC 4028): who refreshes, when, and when silence means the end.

we refresh:   REFRESH at half the interval, EXPIRE at its end
they refresh: EXPIRE at the interval less min(32 s, a third of it)
"""

import math

from sipcore.dialog.core import CallSettings, Timer
from sipcore.errors import ParseError
from sipcore.events import CallId
from sipcore.message.fields import SessionExpires, parse_seconds
from sipcore.message.message import Request, Response
from sipcore.transaction.timers import TimerQueue

_MAX_INTERVAL = 7 * 86400


class SessionTimer:
    """Negotiates the interval with every INVITE and UPDATE, and arms the two timers of its call."""

    def __init__(self, timers: TimerQueue[tuple[CallId, Timer]], call: CallId, settings: CallSettings) -> None:
        self._timers = timers
        self._call = call
        self._settings = settings
        self.interval = 0
        """Agreed session interval in seconds; 0: none."""

        self.we_refresh = False
        self._min_se = settings.min_session_expires

    def ask(self, request: Request) -> None:
        """Put our wish into an INVITE of ours (§7.1); within a call the roles stay as they are (§7.4)."""
        if self.interval:
            refresher = "uac" if self.we_refresh else "uas"
            request.headers.set("Session-Expires", f"{self.interval};refresher={refresher}")
        elif self._settings.session_expires:
            request.headers.set("Session-Expires", str(max(self._settings.session_expires, self._min_se)))
        else:
            return
        request.headers.set("Min-SE", str(self._min_se))

    def refused(self, response: Response) -> bool:
        """Take the Min-SE of a 422; whether asking again makes sense (§7.3)."""
        raw = response.headers.get("Min-SE")
        try:
            wanted = 0 if raw is None else parse_seconds(raw)
        except ParseError:
            return False
        if not self._min_se < wanted <= _MAX_INTERVAL:
            return False
        self._min_se = wanted
        self.interval = max(self.interval, wanted) if self.interval else 0
        return True

    def confirmed_by(self, response: Response, now: float) -> None:
        """Take what a 2xx to our INVITE or UPDATE says (§7.2); without Session-Expires there is no timer."""
        agreed = _session_expires(response)
        if agreed is None:
            self._stop()
        else:
            self._start(agreed.seconds, we_refresh=agreed.refresher != "uas", now=now)

    def too_small(self, request: Request) -> bool:
        """Whether ``request`` wants a 422 with :attr:`least` (§9); raises ParseError where :meth:`agree` would."""
        wanted = _session_expires(request)
        if wanted is None:
            return False
        # "A 422 response MUST NOT be sent to a client that does not support the timer extension".
        return "timer" in request.supported and wanted.seconds < self.least

    @property
    def least(self) -> int:
        """The Min-SE of a 422 of ours."""
        return self._settings.min_session_expires

    def agree(self, request: Request, response: Response, now: float) -> None:
        """Put our answer into the 2xx to an INVITE or UPDATE of theirs that :meth:`too_small` let pass (§9)."""
        wanted = _session_expires(request)
        if wanted is None:
            self._stop()
            return
        capable = "timer" in request.supported
        interval = max(wanted.seconds, self.least)
        # Table 2 of §9: a client without the extension cannot refresh; else its choice, else the client itself.
        refresher = "uas" if not capable else wanted.refresher or "uac"
        response.headers.set("Session-Expires", f"{interval};refresher={refresher}")
        if refresher == "uac":
            response.headers.add("Require", "timer")
        self._start(interval, we_refresh=refresher == "uas", now=now)

    @property
    def expires_at(self) -> float | None:
        """When silence means the end; None without a timer."""
        return self._timers.deadline((self._call, Timer.EXPIRE))

    def restore(self, interval: int, *, we_refresh: bool, expires_at: float | None) -> None:
        """Go on with a timer of another process; the refresh that follows the restoration is due anyway."""
        if interval <= 0 or expires_at is None or not math.isfinite(expires_at):
            return
        self.interval = min(max(interval, self._settings.min_session_expires), _MAX_INTERVAL)
        self.we_refresh = we_refresh
        self._timers.set((self._call, Timer.EXPIRE), expires_at)

    def _start(self, interval: int, *, we_refresh: bool, now: float) -> None:
        self.interval = min(max(interval, self._settings.min_session_expires), _MAX_INTERVAL)
        self.we_refresh = we_refresh
        if we_refresh:
            self._timers.set((self._call, Timer.REFRESH), now + self.interval / 2)
            self._timers.set((self._call, Timer.EXPIRE), now + self.interval)
        else:
            self._timers.cancel((self._call, Timer.REFRESH))
            # §10: the BYE leaves "slightly before the session expiration": min(32 s, interval/3).
            self._timers.set((self._call, Timer.EXPIRE), now + self.interval - min(32.0, self.interval / 3))

    def _stop(self) -> None:
        self.interval = 0
        self._timers.cancel((self._call, Timer.REFRESH))
        self._timers.cancel((self._call, Timer.EXPIRE))


def _session_expires(message: Request | Response) -> SessionExpires | None:
    raw = message.headers.get("Session-Expires")
    return None if raw is None else SessionExpires.parse(raw)
