"""What is refused before anybody sees it: requests we cannot serve (RFC 3261 §8.2)."""

from sipcore.dialog.core import ACCEPT, ALLOW, EXTENSIONS, SUPPORTED
from sipcore.dialog.session_timer import SessionTimer
from sipcore.message.message import Request, Response

_METHODS = frozenset(method.strip() for method in ALLOW.split(","))


def refusal_of(request: Request) -> Response | None:
    """The response a request gets for its method or its demands, or None; raises ParseError.

    Not for CANCEL and ACK, whose Require is ignored (§8.2.2.3).
    """
    if request.method not in _METHODS:
        # §8.2.1: "The UAS MUST also add an Allow header field to the 405".
        response = request.response(405)
        response.headers.add("Allow", ALLOW)
        return response
    unknown = [tag for tag in request.require if tag not in EXTENSIONS]
    if unknown:
        response = request.response(420)
        response.headers.add("Unsupported", ", ".join(unknown))
        return response
    return None


def refusal_of_offer(request: Request, timer: SessionTimer) -> Response | None:
    """The response an INVITE or UPDATE gets for its body or its session interval, or None; raises ParseError."""
    if (request.headers.get("Content-Encoding") or "identity").lower() != "identity":
        response = request.response(415)
        response.headers.add("Accept-Encoding", "identity")
        return response
    content_type = request.content_type
    if request.body and (content_type is None or content_type.essence != ACCEPT) and not _is_optional(request):
        response = request.response(415)
        response.headers.add("Accept", ACCEPT)
        return response
    if timer.too_small(request):
        response = request.response(422)
        response.headers.add("Min-SE", str(timer.least))
        return response
    return None


def capabilities(request: Request) -> Response:
    """The answer to OPTIONS (§11.2)."""
    response = request.response(200)
    response.headers.add("Allow", ALLOW)
    response.headers.add("Accept", ACCEPT)
    response.headers.add("Accept-Encoding", "identity")
    response.headers.add("Accept-Language", "en")
    response.headers.add("Supported", SUPPORTED)
    response.headers.add("Allow-Events", ALLOW_EVENTS)
    return response


ALLOW_EVENTS = "message-summary, refer"


def _is_optional(request: Request) -> bool:
    """Whether the body may be ignored (§20.11)."""
    disposition = request.headers.get("Content-Disposition") or ""
    return "handling=optional" in disposition.replace(" ", "").lower()
