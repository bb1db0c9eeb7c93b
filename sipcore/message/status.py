"""Status codes: their classes and default reason phrases (RFC 3261 §21 and the extensions this phone meets)."""

REASON_PHRASES = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

_CLASS_PHRASES = {
    1: "Session Progress",
    2: "OK",
    3: "Multiple Choices",
    4: "Bad Request",
    5: "Server Internal Error",
    6: "Decline",
}


def reason_phrase(status: int) -> str:
    """The phrase for a status; that of its class for an unknown one."""
    return REASON_PHRASES.get(status) or _CLASS_PHRASES.get(status // 100, "Unknown")


def effective(status: int) -> int:
    """The status to act on when this one is unknown (RFC 3261 §8.1.3.2).

    "A UAC MUST treat any final response it does not recognize as being equivalent to the x00 response code of
    that class"; and "any provisional response different than 100 that it does not recognize as 183".
    """
    if status in REASON_PHRASES:
        return status
    return 183 if is_provisional(status) else status // 100 * 100


def is_provisional(status: int) -> bool:
    """1xx: the request goes on."""
    return 100 <= status <= 199


def is_final(status: int) -> bool:
    """200 or more: the transaction is over."""
    return status >= 200


def is_success(status: int) -> bool:
    """2xx."""
    return 200 <= status <= 299


def is_redirect(status: int) -> bool:
    """3xx: try elsewhere."""
    return 300 <= status <= 399


def is_failure(status: int) -> bool:
    """4xx, 5xx and 6xx."""
    return status >= 400


def is_global_failure(status: int) -> bool:
    """6xx: no other place will do better."""
    return 600 <= status <= 699
