"""Headers: RFC 3261 §7.3."""

import pytest

from sipcore.errors import LocalProtocolError, ParseError
from sipcore.message.headers import Headers, canonical_name


def sample() -> Headers:
    return Headers([("v", "SIP/2.0/UDP a;branch=1"), ("SUBJECT", "x, y"), ("X-Own", "1"), ("Via", "SIP/2.0/UDP b, c")])


def test_names_ignore_case_and_compact_forms_mean_the_long_ones() -> None:
    """§7.3.1 "field names are always case-insensitive" and §7.3.3."""
    headers = sample()
    assert headers.get_all("VIA") == headers.get_all("v") == ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b, c"]
    assert "s" in headers
    assert "x-own" in headers
    assert "from" not in headers
    assert 7 not in headers
    assert [name for name, _ in headers.items()] == ["Via", "Subject", "X-Own", "Via"]
    assert headers.keys() == ["via", "subject", "x-own", "via"]
    assert (len(headers), headers.count("via")) == (4, 2)


@pytest.mark.parametrize(
    ("compact", "name"),
    [
        ("a", "Accept-Contact"),
        ("b", "Referred-By"),
        ("c", "Content-Type"),
        ("d", "Request-Disposition"),
        ("e", "Content-Encoding"),
        ("f", "From"),
        ("i", "Call-ID"),
        ("j", "Reject-Contact"),
        ("k", "Supported"),
        ("l", "Content-Length"),
        ("m", "Contact"),
        ("n", "Identity-Info"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("s", "Subject"),
        ("t", "To"),
        ("u", "Allow-Events"),
        ("v", "Via"),
        ("x", "Session-Expires"),
        ("y", "Identity"),
    ],
)
def test_every_compact_form(compact: str, name: str) -> None:
    assert canonical_name(compact) == canonical_name(compact.upper()) == name


def test_spelling_of_names() -> None:
    assert canonical_name("cALL-id") == "Call-ID"
    assert canonical_name("www-authenticate") == "WWW-Authenticate"
    assert canonical_name("x-Unknown") == "x-Unknown"


def test_values_split_only_what_is_a_list() -> None:
    """§7.3.1: neither Subject, Date nor any of the four authentication headers may be split at commas."""
    headers = sample()
    assert headers.values("via") == ["SIP/2.0/UDP a;branch=1", "SIP/2.0/UDP b", "c"]
    assert headers.values("subject") == ["x, y"]
    for name in ("Date", "WWW-Authenticate", "Authorization", "Proxy-Authenticate", "Proxy-Authorization"):
        headers.add(name, 'Digest a="1", b=2')
        assert headers.values(name) == ['Digest a="1", b=2']
    assert headers.values("Supported") == []
    headers.add("Supported", "")
    assert headers.values("k") == []
    headers.add("Supported", "100rel , timer")
    assert headers.values("k") == ["100rel", "timer"]
    headers.add("k", "a,,b")
    with pytest.raises(ParseError):
        headers.values("k")


def test_changing() -> None:
    headers = sample()
    headers.insert_first("Via", "SIP/2.0/UDP first")
    assert headers.get("Via") == "SIP/2.0/UDP first"
    headers.set("v", "only")
    assert headers.items() == [("Via", "only"), ("Subject", "x, y"), ("X-Own", "1")]
    headers.set("To", "new")
    assert headers.items()[-1] == ("To", "new")
    headers.remove("SUBJECT")
    headers.remove("absent")
    assert str(headers) == "Via: only\r\nX-Own: 1\r\nTo: new\r\n"


def test_a_copy_is_independent() -> None:
    headers = sample()
    twin = headers.copy()
    assert twin == headers
    twin.remove("Via")
    assert twin != headers
    assert "Via" in headers
    assert list(twin) == twin.items()
    assert headers != "text"


def test_parsed_results_are_kept_until_something_changes() -> None:
    headers = sample()
    calls = []

    def parse() -> int:
        calls.append(1)
        return len(calls)

    assert [headers.memo("x", parse), headers.memo("x", parse)] == [1, 1]
    headers.set("X-Own", "2")
    assert headers.memo("x", parse) == 2


@pytest.mark.parametrize(
    ("name", "value"), [("X\r\nRoute", "v"), ("", "v"), ("a b", "v"), ("X", "v\r\nRoute: y"), ("X", "v\n"), ("é", "v")]
)
def test_an_application_cannot_smuggle_lines(name: str, value: str) -> None:
    headers = Headers()
    for change in (headers.add, headers.set, headers.insert_first):
        with pytest.raises(LocalProtocolError):
            change(name, value)
    assert len(headers) == 0


def test_values_do_not_show_in_a_repr() -> None:
    assert "secret" not in repr(Headers([("Authorization", "secret")]))
