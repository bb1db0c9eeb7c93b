"""Requests and responses for the tests of this room, and identifiers that can be told in advance."""

import random

from sipcore.ids import IdSource
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from sipcore.message.uri import Uri


def ids(seed: int = 1) -> IdSource:
    return IdSource(random.Random(seed))


def request(method: str = "REGISTER", uri: str = "sip:pbx.example.com", body: bytes = b"") -> Request:
    headers = Headers(
        [
            ("Via", "SIP/2.0/WSS a.invalid;branch=z9hG4bK1"),
            ("From", "<sip:1001@pbx.example.com>;tag=1"),
            ("To", "<sip:1001@pbx.example.com>"),
            ("Call-ID", "x"),
            ("CSeq", f"1 {method}"),
        ]
    )
    return Request(method, Uri.parse(uri), headers, body)


def challenged(*values: str, status: int = 401) -> Response:
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    return Response(status, "", Headers([(name, value) for value in values]))
