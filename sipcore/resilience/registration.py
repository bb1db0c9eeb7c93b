"""The registration supervisor: keeps one binding alive, and says what became of it (promise R1; RFC 3261 §10.2).

    verbs, flow, outcomes, time ──▶ table (registration_table.py) ──▶ SendRegister | flow requests | events

Sans-I/O. Each SendRegister is answered by :meth:`~RegistrationSupervisor.accepted`,
:meth:`~RegistrationSupervisor.refused`, :meth:`~RegistrationSupervisor.timed_out` or
:meth:`~RegistrationSupervisor.flow_down`; no other is made before.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from sipcore.errors import Phrase
from sipcore.events import (
    Registered,
    RegistrationAttempt,
    RegistrationChanged,
    RegistrationRefused,
    RegistrationState,
    RetryScheduled,
    Unregistered,
)
from sipcore.resilience import policy
from sipcore.resilience.policy import Verdict
from sipcore.resilience.refresh import RefreshPlan
from sipcore.resilience.registration_outputs import (
    ParkFlow,
    ReformFlow,
    RegistrationGaveUp,
    RegistrationOutput,
    SendRegister,
    WantFlow,
)
from sipcore.resilience.registration_table import TRANSITIONS, Effect, Input, State

if TYPE_CHECKING:
    from sipcore.config import Resilience
    from sipcore.ids import IdSource
    from sipcore.resilience.registrar import Refused

_log = logging.getLogger(__name__)


_IN_FLIGHT = frozenset({State.SENDING, State.STOPPING, State.UNREGISTERING, State.RESTARTING})
_ANSWERABLE = frozenset({State.SENDING, State.STOPPING})


class RegistrationSupervisor:
    """One per account."""

    def __init__(self, settings: Resilience, ids: IdSource) -> None:
        self._settings = settings
        self._ids = ids
        self._state = State.IDLE
        self._outputs: list[RegistrationOutput] = []
        self._refresh = RefreshPlan(ids)
        self._shown = RegistrationState.UNREGISTERED
        self._flow_is_up = False
        self._reliable = True
        self._reforming = False
        self._bound_until: float | None = None
        self._attempts = settings.register_attempts
        self._delay_s = settings.register_delay
        self._series = settings.register_attempts
        self._quiet = False
        self._verdict = Verdict.TEMPORARY
        self._retry_after_s: float | None = None
        self.not_before = 0.0
        """Until when the registrar wants to hear nothing (Retry-After)."""

        self._reason = ""
        self._timeouts = 0
        self._silent_s = 0.0
        self._refusals = 0
        self._slow_rounds = 0
        self.standby = False
        """Whether another binding serves the user, so that this one has time (RFC 5626 §4.5)."""

        self.attempt = 0
        """Number of the running or last attempt in this series."""
        self.due_at: float | None = None
        """When the next REGISTER goes out by itself: retry, refresh or slow attempt."""

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def in_flight(self) -> bool:
        """Whether a REGISTER is unanswered."""
        return self._state in _IN_FLIGHT

    @property
    def bound(self) -> bool:
        """Whether the registrar holds a binding of ours, as far as we know."""
        return self._bound_until is not None

    @property
    def maximum(self) -> int:
        """How many attempts the running series has."""
        return self._attempts

    @property
    def wanted(self) -> bool:
        """Whether the application wants to be registered."""
        return self._state not in (State.IDLE, State.STOPPING, State.UNREGISTERING)

    @property
    def parked(self) -> bool:
        """Whether it has failed in a way a new flow does not cure."""
        return self._state is State.SLOW_WAIT and self._verdict is not Verdict.TEMPORARY

    @property
    def judged(self) -> bool:
        """Whether what it has was refused for good, be that announced yet or not."""
        return self._state in (State.LAST_WAIT, State.SLOW_WAIT) and self._verdict is not Verdict.TEMPORARY

    @property
    def shown(self) -> RegistrationState:
        """The state as users see it."""
        match self._state:
            case State.IDLE:
                return RegistrationState.UNREGISTERED
            case State.REGISTERED | State.UNREGISTERING:
                return RegistrationState.REGISTERED
            case State.STOPPING | State.RESTARTING:
                return RegistrationState.REGISTERING
            case State.SLOW_WAIT if not self.bound or self._verdict is not Verdict.TEMPORARY:
                return RegistrationState.FAILED
            case _ if self.bound and self._verdict is Verdict.TEMPORARY:
                return RegistrationState.REGISTERED
            case _:
                return RegistrationState.FAILED if self._quiet else RegistrationState.REGISTERING

    # --- verbs -------------------------------------------------------------------------------------------------

    def start(self, now: float, *, attempts: int | None = None, delay_s: float | None = None) -> None:
        """Register, in a new series of attempts; also "retry now" and "refresh now"."""
        self._attempts = self._settings.register_attempts if attempts is None else max(1, attempts)
        self._delay_s = self._settings.register_delay if delay_s is None else delay_s
        self._slow_rounds = self._refusals = 0
        self._handle(Input.START if self._flow_is_up else Input.START_NO_FLOW, now)

    def stop(self, now: float) -> None:
        """Remove our own binding, where there is one, and want none any more."""
        removable = self.bound and self._flow_is_up
        self._handle(Input.STOP_BOUND if removable else Input.STOP, now)

    # --- the flow ----------------------------------------------------------------------------------------------

    def flow_up(self, now: float, *, reliable: bool, quiet: bool) -> None:
        """A flow is open. ``quiet``: failure has been announced already."""
        self._flow_is_up, self._reliable = True, reliable
        reforming, self._reforming = self._reforming, False
        if self._state is State.NO_FLOW and quiet and not self._quiet:
            self._carry_out(Effect.QUIET_SERIES, now)
        if self._state in (State.LAST_WAIT, State.SLOW_WAIT) and (reforming or self._is_hopeless(now)):
            return  # another flow may lead to another PBX, but this one is our own second try
        self._handle(Input.FLOW_UP, now)

    def flow_down(self, reason: str, now: float) -> None:
        """The flow is gone: with it what was in flight, and the binding, which pointed at it."""
        self._flow_is_up = False
        if self._reforming or self._is_hopeless(now):
            self._handle(Input.FLOW_LEFT, now)
        else:
            self._reason = reason
            self._handle(Input.FLOW_DOWN, now)
        self._bound_until = None
        self._show()

    def transport_gave_up(self, reason: str, now: float) -> None:
        """R2's attempts are used up, and that has been announced."""
        if self._state is State.RETRY_WAIT and now < self.not_before:
            self._carry_out(Effect.QUIET_SERIES, now)  # Retry-After outlives its connection
            return
        self._reason = reason
        self._handle(Input.TRANSPORT_GAVE_UP, now)

    # --- outcomes ----------------------------------------------------------------------------------------------

    def accepted(self, expires_s: int, now: float) -> None:
        """A 2xx to the REGISTER in flight."""
        self._timeouts = self._slow_rounds = self._refusals = 0
        if self._state in (State.UNREGISTERING, State.RESTARTING):
            self._removed(now)
            return
        refresh = self.bound
        self._bound_until = now + expires_s
        self._verdict, self._retry_after_s, self._reason = Verdict.TEMPORARY, None, ""
        if self._state is State.SENDING:
            self._outputs.append(Registered(expires_s, refresh))
        self._handle(Input.ACCEPTED, now)

    def refused(self, refusal: Refused, now: float, *, elsewhere: bool = False) -> None:
        """A final response that is no 2xx. ``elsewhere``: another server can be tried at once."""
        self._timeouts = 0
        if self._state in (State.UNREGISTERING, State.RESTARTING):
            self._removed(now)
            return
        if self._state not in _ANSWERABLE:
            return
        self._verdict = self._judge(refusal.verdict)
        self._retry_after_s = refusal.retry_after_s
        self.not_before = now + (refusal.retry_after_s or 0.0)
        self._reason = f"{refusal.status} {refusal.reason}"
        self._say_refused(refusal.status, refusal.reason, credentials=refusal.credentials_refused)
        if refusal.verdict is Verdict.PERMANENT:
            self._forget_binding_of(refusal)
            self._handle(Input.REFUSED, now)
            self._park_if_hopeless()
            return
        move = (elsewhere and refusal.status >= 500) or refusal.redirect is not None
        self._failed(now, Input.FAILED_ELSEWHERE if move else Input.FAILED)
        if move and self._state is State.NO_FLOW:
            self._reform(self._reason, avoid_s=refusal.retry_after_s or 0.0)

    def timed_out(self, timeout_s: float, now: float) -> None:
        """No final response in time. The flow is given up with the transaction."""
        self._timeouts += 1
        if self._state in (State.UNREGISTERING, State.RESTARTING):
            self._removed(now)
            return
        if self._state not in _ANSWERABLE:
            return
        self._verdict, self._retry_after_s = Verdict.TEMPORARY, None
        self._reason = Phrase("no answer to REGISTER in {seconds:g} s", seconds=timeout_s)
        self._say_refused(408, self._reason)
        reason, wanted = self._reason, self.wanted
        self._silent_s = timeout_s
        self._failed(now, Input.FAILED)
        self._silent_s = 0.0
        if wanted:
            self._reform(reason)

    def nonce_came(self, next_s: float, now: float) -> None:
        """A keep-alive was challenged, and the next follows in ``next_s``: a refresh may make use of that."""
        if self._state is State.REGISTERED and self.due_at is not None:
            self.due_at = self._refresh.nonce(self.due_at, next_s, now)

    # --- time --------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """The next deadline, or None."""
        return min((at for at in (self.due_at, self._bound_until) if at is not None), default=None)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self.due_at is not None and now >= self.due_at and not self._put_off(now):
            self.due_at = None
            self._handle(Input.DUE if self._flow_is_up else Input.DUE_NO_FLOW, now)
            self._park_if_hopeless()
        if self._bound_until is not None and now >= self._bound_until:
            self._reason = Phrase("the registration expired")
            self._handle(Input.EXPIRED, now)
            self._bound_until = None
            self._show()

    def resumed(self, gap_s: float) -> None:
        """The machine slept: retries are put off by the gap, but the registrar's clock went on."""
        if self.due_at is not None and self._state is not State.REGISTERED:
            self.due_at += gap_s

    def drain(self) -> list[RegistrationOutput]:
        """Everything to be done and said since the last drain, in order."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # --- inside ------------------------------------------------------------------------------------------------

    def _put_off(self, now: float) -> bool:
        later = self._refresh.put_off(now) if self._state is State.REGISTERED else None
        self.due_at = self.due_at if later is None else later
        return later is not None

    def _is_hopeless(self, now: float) -> bool:
        """Whether another flow would change nothing: refused for good, or told to stay away."""
        waiting = self._state in (State.LAST_WAIT, State.SLOW_WAIT)
        return self.judged or (waiting and now < self.not_before)

    def _judge(self, verdict: Verdict) -> Verdict:
        """One refusal among other failures proves nothing; as many as a series has attempts do, wherever they fall."""
        match verdict:
            case Verdict.CREDENTIALS:
                self._refusals += 1
                # What the other flow is registered with need not be tried as often as that.
                enough = 1 if self.standby else self._attempts
                return verdict if self._refusals >= enough else Verdict.TEMPORARY
            case Verdict.PERMANENT:
                return verdict
            case _:
                return Verdict.TEMPORARY

    def _failed(self, now: float, attempts_left: Input) -> None:
        # Credentials that were refused often enough are not tried again because the attempts fell into two series.
        if self.attempt < self._series and self._verdict is not Verdict.CREDENTIALS:
            self._handle(attempts_left, now)
        elif self._quiet:
            self._handle(Input.FAILED_QUIET, now)
        elif self.bound and self._verdict is Verdict.TEMPORARY:
            self._handle(Input.FAILED_BOUND, now)
        else:
            self._handle(Input.FAILED_LAST, now)
        self._park_if_hopeless()

    def _removed(self, now: float) -> None:
        self._bound_until = None
        self._reason = ""
        self._handle(Input.REMOVED, now)

    def _handle(self, event: Input, now: float) -> None:
        transition = TRANSITIONS.get((self._state, event))
        if transition is None:
            return
        self._state, effects = transition
        for effect in effects:
            self._carry_out(effect, now)
        self._show()

    def _carry_out(self, effect: Effect, now: float) -> None:
        match effect:
            case Effect.SAY_LOST:
                if self.bound:
                    self._bound_until = None
                    self._outputs.append(Unregistered(self._reason))
            case Effect.NEW_SERIES:
                self.attempt, self._quiet, self._series = 0, False, self._attempts
                self._verdict, self._retry_after_s = Verdict.TEMPORARY, None
            case Effect.QUIET_SERIES:
                self.attempt, self._quiet, self._series = 0, True, self._attempts
            case Effect.QUIET_ATTEMPT:
                self.attempt, self._quiet, self._series = 0, True, 1
            case Effect.WANT_FLOW:
                self._outputs.append(WantFlow())
            case Effect.SEND:
                self._send()
            case Effect.SEND_REMOVAL:
                self._outputs.append(SendRegister(self._timeout_s(), removal=True))
            case Effect.UNCOUNT:
                self.attempt = max(0, self.attempt - 1)
            case Effect.ARM_RETRY:
                self._arm_retry(now)
            case Effect.ARM_REFRESH:
                self.due_at = self._refresh.made((self._bound_until or now) - now, now)
            case Effect.ARM_SLOW:
                self._arm_slow(now)
            case Effect.DISARM:
                self.due_at = None
            case Effect.SAY_REGISTERED:
                _log.info("Registration successful")
            case Effect.SAY_GAVE_UP:
                _log.info("Registration failed after %d attempts: %s", self.attempt, self._reason)
                self._outputs.append(RegistrationGaveUp(max(self.attempt, self._refusals), self._reason))
            case Effect.SAY_UNREGISTERED:
                self._say_unregistered()
            case _:
                assert_never(effect)

    def _timeout_s(self) -> float:
        return policy.registration_timeout_s(self._timeouts, self._settings, reliable=self._reliable)

    def _send(self) -> None:
        self.attempt += 1
        if self._quiet:
            _log.info("Background registration attempt")
        else:
            _log.info("Registration attempt %d/%d", self.attempt, self._attempts)
            self._outputs.append(RegistrationAttempt(self.attempt, self._attempts))
        self._outputs.append(SendRegister(self._timeout_s()))

    def _say_refused(self, status: int, reason: str, *, credentials: bool = False) -> None:
        _log.info("Registration attempt refused: %d %s", status, reason)
        if not self._quiet and self._state is State.SENDING:
            self._outputs.append(RegistrationRefused(self.attempt, self._attempts, status, reason, credentials))

    def _arm_retry(self, now: float) -> None:
        wait = policy.registration_wait_s(max(1, self.attempt), self._delay_s)
        if self._state is State.RETRY_WAIT:
            # Silence is waiting, too: a refusal comes at once, a time-out has taken longer than the wait already.
            wait = max(0.0, wait - self._silent_s)
            if self._retry_after_s is not None:
                wait = self._retry_after_s  # obeyed to the second, be it shorter or longer than the series
        self.due_at = now + wait
        if self._state is State.RETRY_WAIT:
            _log.info("Waiting %dms before retry attempt %d", round(wait * 1000), self.attempt + 1)
            if not self._quiet:
                again = RetryScheduled("registration", self.attempt + 1, self._attempts, wait, self._reason)
                self._outputs.append(again)

    def _arm_slow(self, now: float) -> None:
        wait: float | None
        if self._verdict is Verdict.TEMPORARY and self.standby:
            self._slow_rounds += 1
            wait = policy.outbound_wait_s(self._slow_rounds, self._ids)
        elif self._verdict is Verdict.TEMPORARY:
            wait = policy.background_wait_s(self._settings, self._ids)
        else:
            wait = policy.credentials_wait_s(self._slow_rounds, self._settings, self._ids)
            self._slow_rounds += 1
        self.due_at = None if wait is None else now + max(wait, self._retry_after_s or 0.0)

    def _say_unregistered(self) -> None:
        self._bound_until = None
        self._quiet, self._verdict = False, Verdict.TEMPORARY
        _log.info("Unregistered")
        self._outputs.append(Unregistered())

    def _forget_binding_of(self, refusal: Refused) -> None:
        """404 and its like say that there is nothing to be bound to."""
        if self.bound and refusal.status in (404, 604):
            self._bound_until = None

    def _reform(self, reason: str, *, avoid_s: float = 0.0) -> None:
        self._reforming = True
        self._outputs.append(ReformFlow(reason, avoid_s))

    def _park_if_hopeless(self) -> None:
        if self.parked:
            self._outputs.append(ParkFlow(self._reason))

    def _show(self) -> None:
        shown = self.shown
        if shown is not self._shown:
            self._shown = shown
            reason = self._reason if shown is not RegistrationState.REGISTERED else ""
            self._outputs.append(RegistrationChanged(shown, reason))
