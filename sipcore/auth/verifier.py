"""The server's side of digest authentication, for the demo PBX and the tests (RFC 7616 §3.3, §5.4).

A nonce carries its own birthday under an HMAC, so only the use counts of live nonces have to be kept.
"""

import enum
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from sipcore.auth.challenge import Challenge
from sipcore.auth.credentials import Authorization, Credentials, base_algorithm, is_supported, user_hash
from sipcore.auth.ports import SignableRequest
from sipcore.errors import ParseError
from sipcore.ids import IdSource

_MAX_NONCES = 4096


class Verdict(enum.Enum):
    """What the credentials of a request are worth."""

    ACCEPTED = enum.auto()
    MISSING = enum.auto()
    """There are none for this realm: challenge."""
    STALE = enum.auto()
    """Right, but the nonce is too old: challenge with stale=true."""
    REJECTED = enum.auto()
    """Unknown user, wrong password, replayed count or foreign nonce: challenge without stale."""
    MALFORMED = enum.auto()
    """They cannot be read: 400."""


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict and, when accepted, the plain user name."""

    verdict: Verdict
    username: str | None = None


class Verifier:
    """Challenges and verifies the users of one realm."""

    def __init__(
        self,
        realm: str,
        users: Mapping[str, str],
        ids: IdSource,
        *,
        algorithms: tuple[str, ...] = ("SHA-256", "MD5"),
        qop: tuple[str, ...] = ("auth",),
        nonce_lifetime_s: float = 300.0,
        proxy: bool = False,
    ) -> None:
        """`users` maps names to passwords and is read anew each time, so a changed password counts at once.

        `algorithms` come in order of preference and must be supported; an empty `qop` plays a server of RFC 2069.
        """
        unsupported = [algorithm for algorithm in algorithms if not is_supported(algorithm)]
        if unsupported or not algorithms:
            raise ValueError(f"unsupported algorithms: {unsupported}")
        self.realm = realm
        self.users = users
        self._ids = ids
        self._algorithms = algorithms
        self._qop = qop
        self._lifetime_s = nonce_lifetime_s
        self._secret = ids.token(256).encode()
        self._counts: OrderedDict[str, int] = OrderedDict()
        """The highest count seen of each nonce, oldest nonce first."""
        self.challenge_header = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        self.credentials_header = "Proxy-Authorization" if proxy else "Authorization"
        self.status = 407 if proxy else 401

    def challenges(self, now: float, *, stale: bool = False) -> list[str]:
        """The values of `challenge_header` to send, one line per algorithm in order of preference (RFC 8760 §2.3)."""
        nonce = self._nonce(now)
        return [
            str(Challenge(realm=self.realm, nonce=nonce, algorithm=algorithm, qop=self._qop, stale=stale))
            for algorithm in self._algorithms
        ]

    def verify(self, request: SignableRequest, now: float) -> Verification:
        """Judge the credentials of a request; a use of a nonce counts only when everything else is right."""
        try:
            found = self._find(request)
        except ParseError:
            return Verification(Verdict.MALFORMED)
        if found is None:
            return Verification(Verdict.MISSING)
        if not self._is_answer_to_us(found) or found.uri != str(request.uri):
            return Verification(Verdict.REJECTED)
        username = self._username(found)
        born = self._birthday(found.nonce)
        if username is None or born is None:
            return Verification(Verdict.REJECTED)
        expected = found.expected(Credentials(username, self.users[username]), request.method, request.body)
        if not hmac.compare_digest(expected.encode(), found.response.encode()):
            return Verification(Verdict.REJECTED)
        if not 0 <= now - born <= self._lifetime_s:
            return Verification(Verdict.STALE)
        if not self._count(found, now):
            return Verification(Verdict.REJECTED)
        return Verification(Verdict.ACCEPTED, username)

    def _find(self, request: SignableRequest) -> Authorization | None:
        for value in request.headers.get_all(self.credentials_header):
            credentials = Authorization.parse(value)
            if credentials is not None and credentials.realm == self.realm:
                return credentials
        return None

    def _is_answer_to_us(self, found: Authorization) -> bool:
        """Whether algorithm and qop are among those offered: a client may not choose weaker ones."""
        offered = {algorithm.upper() for algorithm in self._algorithms}
        return (found.algorithm or "MD5").upper() in offered and (
            found.qop in self._qop if self._qop else found.qop is None
        )

    def _username(self, found: Authorization) -> str | None:
        if not found.userhash:
            return found.username if found.username in self.users else None
        algorithm = base_algorithm(found.algorithm)
        wanted = found.username.lower()
        return next((name for name in self.users if user_hash(algorithm, name, self.realm) == wanted), None)

    def _nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}.{self._ids.token(60)}"
        return f"{stamp}.{self._mac(stamp)}"

    def _birthday(self, nonce: str) -> float | None:
        """When a nonce of ours was made, or None for a foreign one."""
        stamp, _, mac = nonce.rpartition(".")
        if not hmac.compare_digest(self._mac(stamp).encode(), mac.encode()):
            return None
        return int(stamp.partition(".")[0], 16) / 1000

    def _mac(self, stamp: str) -> str:
        return hmac.new(self._secret, f"{self.realm}:{stamp}".encode(), "sha256").hexdigest()[:32]

    def _count(self, found: Authorization, now: float) -> bool:
        """Take note of a use; False if that count, or a later one, was seen before (RFC 7616 §5.12)."""
        while self._counts:
            oldest = next(iter(self._counts))
            born = self._birthday(oldest)
            if born is not None and now - born <= self._lifetime_s and len(self._counts) < _MAX_NONCES:
                break
            del self._counts[oldest]
        if found.nc is None:
            return True
        if found.nc <= self._counts.get(found.nonce, 0):
            return False
        self._counts[found.nonce] = found.nc
        return True
