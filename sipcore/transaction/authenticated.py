"""One request of a user with all the transactions its challenges take (RFC 3261 §22.2, §22.3).

    send ─▶ transaction ─401/407─▶ answered, CSeq + 1 ─▶ transaction ─▶ response for the user
                            └─ cannot be answered ─▶ response for the user

For everything outside this layer that sends requests: calls, registrations, keep-alives. The owner keeps the object
and compares :attr:`AuthenticatedRequest.transaction` with that of the events it gets, each time anew.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sipcore.auth.authenticator import Authenticator
from sipcore.events import FlowId
from sipcore.message.fields import CSeq
from sipcore.message.message import Request, Response
from sipcore.transaction.layer import TransactionLayer

if TYPE_CHECKING:
    from sipcore.transaction.events import TransactionId

_CHALLENGES = (401, 407)


class AuthenticatedRequest:
    """Sends ``request`` and repeats it with credentials as often as the authenticator allows.

    ``next_cseq`` gives the CSeq number of a repetition, for requests of a dialog; without it numbers count up.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        authenticator: Authenticator,
        request: Request,
        *,
        next_cseq: Callable[[], int] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self._layer = layer
        self._authenticator = authenticator
        self._next_cseq = next_cseq
        self._timeout_s = timeout_s
        self._cancelled = False
        self.request = request
        """The request as it was sent last, with its Via and credentials."""

        self.transaction: TransactionId = 0
        """The running transaction, or the last one; 0 before :meth:`send`."""

        self.flow: FlowId = 0
        """The flow it was sent on."""

    def send(self, flow: FlowId, now: float) -> None:
        """Send for the first time, with credentials where the realm is known already."""
        self.flow = flow
        self._authenticator.authorize(self.request)
        self._start(now)

    def on_response(self, response: Response, now: float) -> Response | None:
        """Take a response to :attr:`transaction`: returns it if it is for the user.

        None: it was a challenge, and the request is under way again in a new :attr:`transaction`. A 401 or 407 that
        comes back is the end; :attr:`credentials_refused` says whose fault it is.
        """
        if response.is_success:
            self._authenticator.learn(self.request, response)
        if response.status not in _CHALLENGES or self._cancelled:
            return response
        renewed = self._authenticator.answer(self.request, response)
        if renewed is None:
            return response
        renewed.headers.remove("Via")
        number = self.request.cseq.number + 1 if self._next_cseq is None else self._next_cseq()
        renewed.headers.set("CSeq", str(CSeq(number, renewed.method)))
        self.request = renewed
        self._start(now)
        return None

    def cancel(self, now: float, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Cancel an INVITE; see :meth:`TransactionLayer.cancel`. A challenge is not answered any more."""
        self._cancelled = True
        self._layer.cancel(self.transaction, now, headers)

    @property
    def credentials_refused(self) -> bool:
        """Whether the last challenge meant that name or password are wrong."""
        return self._authenticator.rejected_fresh

    def _start(self, now: float) -> None:
        self.transaction = self._layer.request(self.request, self.flow, now=now, timeout_s=self._timeout_s)
