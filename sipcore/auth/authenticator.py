"""The client's side of digest authentication: answers challenges and remembers nonces (RFC 3261 §22, RFC 8760).

    request ──authorize──▶ sent ──401/407──▶ answer ──▶ request with credentials ──2xx──▶ learn
                ▲ nonces remembered             │
                └───────────────────────────────┴──▶ None: refused, unsupported, or asked too often

Which credentials a request carries is read from the request itself, so nothing has to be told when a transaction ends.
"""

import enum
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sipcore.auth.challenge import Challenge, parse_auth_params, parse_challenges
from sipcore.auth.credentials import (
    STRENGTH,
    Credentials,
    base_algorithm,
    choose_qop,
    is_session,
    is_supported,
    respond,
)
from sipcore.auth.ports import ChallengingResponse, SignableRequest
from sipcore.errors import ParseError
from sipcore.ids import IdSource

MAX_ANSWERS_PER_REALM: Final = 2
"""How often one request is sent again for one realm: the challenge, and once more if the nonce was stale."""
MAX_ANSWERS: Final = 4
"""How often one request is sent again at all, however many realms its path has."""
MAX_REALMS: Final = 16
"""How many realms are remembered."""
_MAX_SENT: Final = 64
_MAX_NC: Final = 0xFFFFFFFF
_UNSIGNED: Final = ("ACK", "CANCEL")

_R = TypeVar("_R", bound=SignableRequest)


class Side(enum.Enum):
    """Who asks; the values are (challenge, credentials, information) header names."""

    SERVER = ("WWW-Authenticate", "Authorization", "Authentication-Info")
    PROXY = ("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info")


class Choice(enum.Enum):
    """Which of several challenges of one realm is answered."""

    TOPMOST = enum.auto()
    """RFC 8760 §2.4: the topmost that is supported, the server's own preference."""
    STRONGEST = enum.auto()
    """The strongest algorithm whatever the order, so that putting MD5 on top gains an attacker nothing. Removing the
    stronger challenges altogether cannot be seen from here; TLS is the answer to that."""


class Refusal(enum.Enum):
    """Why `answer` gave up."""

    REJECTED = enum.auto()
    """Our response to a fresh challenge was refused: the user name or password is wrong."""
    UNSUPPORTED = enum.auto()
    """No challenge has an algorithm and quality of protection known here, or the method takes no credentials."""
    TOO_MANY = enum.auto()
    """The server keeps calling fresh nonces stale, or keeps naming new realms."""


_Space = tuple[Side, str]


@dataclass(slots=True)
class _Session:
    """A nonce in use for one protection space."""

    challenge: Challenge
    cnonce: str | None = None
    """Kept for the -sess algorithms, whose A1 it is part of; None lets every request draw its own."""
    nc: int = 0
    """How many requests have used the nonce."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is known about credentials that were put into a request."""

    space: _Space
    answers: int
    """How many challenges of this realm the request had answered with them; 0 for credentials sent unasked."""
    total: int
    """The same over all realms."""


class Authenticator:
    """Signs the requests of one account.

    ACK and CANCEL are never signed here: RFC 3261 §22.1 has them carry the very credentials of their INVITE.
    """

    def __init__(self, credentials: Credentials, ids: IdSource, *, choice: Choice = Choice.TOPMOST) -> None:
        self._credentials = credentials
        self._ids = ids
        self._choice = choice
        self._sessions: OrderedDict[_Space, _Session] = OrderedDict()
        self._sent: OrderedDict[str, _Sent] = OrderedDict()
        self._refusal: Refusal | None = None

    @property
    def credentials(self) -> Credentials:
        """The account's name and password. Setting others forgets every nonce and every refusal."""
        return self._credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._sessions.clear()
        self._sent.clear()
        self._refusal = None

    @property
    def refusal(self) -> Refusal | None:
        """Why the last `answer` returned None; None when it did not."""
        return self._refusal

    @property
    def rejected_fresh(self) -> bool:
        """Whether the last `answer` gave up because our response to a fresh challenge was refused."""
        return self._refusal is Refusal.REJECTED

    def carries_fresh(self, request: SignableRequest) -> bool:
        """Whether the request carries our response to a challenge it got itself.

        A 403 to such a request is a verdict on the credentials; a 403 to any other is not.
        """
        return any(record.answers > 0 for record in self._records(request))

    def authorize(self, request: _R) -> _R:
        """Put credentials for every remembered realm into a request about to be sent; returns the same request."""
        if request.method not in _UNSIGNED:
            self._sign(request, dict.fromkeys(self._sessions, 0), 0)
        return request

    def answer(self, request: _R, response: ChallengingResponse) -> _R | None:
        """The request to send in place of one that got a 401 or 407, or None to give up (see `refusal`).

        Headers are replaced, never accumulated. The caller gives the copy a new branch and a CSeq number one higher
        (RFC 3261 §22.2); Call-ID, From tag and the rest stay.
        """
        records = {record.space: record for record in self._records(request)}
        chosen = {space: self._choose(challenges) for space, challenges in self._offers(response).items()}
        total = max((record.total for record in records.values()), default=0) + 1
        self._refusal = _judge(request, chosen, records, total)
        if self._refusal is not None:
            for space in chosen:
                self._sessions.pop(space, None)
            return None
        counts = {space: record.answers for space, record in records.items() if space in self._sessions}
        for space, challenge in chosen.items():
            if challenge is not None:
                counts[space] = counts.get(space, 0) + 1
                self._remember(space, challenge)
        renewed = request.copy()
        self._sign(renewed, counts, total)
        return renewed

    def take_over(self, response: ChallengingResponse) -> bool:
        """Use the nonce of a challenge that need not be answered, as a keep-alive gets; True if it is of use.

        Only for realms that credentials were given for already: a stranger's challenge is no reason to give them any.
        """
        taken = False
        for space, challenges in self._offers(response).items():
            challenge = self._choose(challenges)
            if challenge is not None and space in self._sessions:
                self._remember(space, challenge)
                taken = True
        return taken

    def learn(self, request: SignableRequest, response: ChallengingResponse) -> None:
        """Take the next nonce from a 2xx that carries one (RFC 7616 §3.5, RFC 7615); other responses tell nothing."""
        for record in self._records(request):
            session = self._sessions.get(record.space)
            for value in response.headers.get_all(record.space[0].value[2]):
                try:
                    # The header has no scheme before its parameters.
                    nonce = parse_auth_params(f"Digest {value}").get("nextnonce")
                except ParseError:
                    continue
                if session is not None and nonce:
                    self._remember(record.space, replace(session.challenge, nonce=nonce))

    def _offers(self, response: ChallengingResponse) -> dict[_Space, list[Challenge]]:
        """The challenges of a response by realm. A forking proxy may have gathered both kinds (RFC 3261 §22.3)."""
        offers: dict[_Space, list[Challenge]] = {}
        for side in Side:
            for challenge in parse_challenges(response.headers.get_all(side.value[0])):
                space = (side, challenge.realm)
                if space in offers or len(offers) < MAX_REALMS:
                    offers.setdefault(space, []).append(challenge)
        return offers

    def _choose(self, challenges: list[Challenge]) -> Challenge | None:
        usable = [challenge for challenge in challenges if _is_usable(challenge)]
        if self._choice is Choice.STRONGEST:
            usable.sort(key=lambda challenge: -STRENGTH.index(base_algorithm(challenge.algorithm)))
        return usable[0] if usable else None

    def _remember(self, space: _Space, challenge: Challenge) -> None:
        cnonce = self._ids.cnonce() if is_session(challenge.algorithm) else None
        self._sessions[space] = _Session(challenge, cnonce)
        self._sessions.move_to_end(space)
        if len(self._sessions) > MAX_REALMS:
            self._sessions.popitem(last=False)

    def _sign(self, request: SignableRequest, answers: dict[_Space, int], total: int) -> None:
        """Give the request exactly the credentials of these realms, each with the next nonce count."""
        for side in Side:
            request.headers.remove(side.value[1])
        for space, count in answers.items():
            session = self._sessions[space]
            if session.nc >= _MAX_NC:
                del self._sessions[space]
                continue
            session.nc += 1
            value = str(
                respond(
                    session.challenge,
                    self._credentials,
                    method=request.method,
                    uri=str(request.uri),
                    body=request.body,
                    nc=session.nc,
                    cnonce=session.cnonce or self._ids.cnonce(),
                )
            )
            request.headers.add(space[0].value[1], value)
            self._sent[value] = _Sent(space, count, total)
        while len(self._sent) > _MAX_SENT:
            self._sent.popitem(last=False)

    def _records(self, request: SignableRequest) -> list[_Sent]:
        values = (value for side in Side for value in request.headers.get_all(side.value[1]))
        return [self._sent[value] for value in values if value in self._sent]


def _judge(
    request: SignableRequest, chosen: dict[_Space, Challenge | None], records: dict[_Space, _Sent], total: int
) -> Refusal | None:
    """Why these challenges are not to be answered, or None.

    RFC 3261 §22.1: a client "MUST NOT re-attempt requests with the credentials that have just been rejected (though
    the request may be retried if the nonce was stale)". Credentials sent unasked used an old nonce, so being asked
    about them is no rejection.
    """
    again = [(challenge, records[space]) for space, challenge in chosen.items() if space in records]
    again = [(challenge, record) for challenge, record in again if record.answers > 0]
    if any(challenge is None or not challenge.stale for challenge, _ in again):
        return Refusal.REJECTED
    if all(challenge is None for challenge in chosen.values()) or request.method in _UNSIGNED:
        return Refusal.UNSUPPORTED
    if total > MAX_ANSWERS or any(record.answers >= MAX_ANSWERS_PER_REALM for _, record in again):
        return Refusal.TOO_MANY
    return None


def _is_usable(challenge: Challenge) -> bool:
    if not is_supported(challenge.algorithm):
        return False
    try:
        choose_qop(challenge)
    except KeyError:
        return False
    return True
