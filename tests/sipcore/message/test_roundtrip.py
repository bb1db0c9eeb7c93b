"""Whatever can be built can be written, parsed and is then the same (RFC 3261 §25.1)."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from sipcore.message.fields import CSeq, Via
from sipcore.message.headers import Headers
from sipcore.message.message import Request, Response
from sipcore.message.parse import StreamParser, parse_message
from sipcore.message.uri import NameAddr, Uri

TOKEN_CHARS = string.ascii_letters + string.digits + "-.!%*_+`'~"
tokens = st.text(TOKEN_CHARS, min_size=1, max_size=12)
hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9](\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
ports = st.none() | st.integers(0, 65535)
# Any text at all but line breaks and lone surrogates: it is escaped or quoted on its way out.
free_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
pname = st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=8)


@st.composite
def uris(draw: st.DrawFn) -> Uri:
    uri = Uri(scheme=draw(st.sampled_from(["sip", "sips"])), host=draw(hosts), port=draw(ports))
    user = draw(st.none() | free_text.filter(bool))
    uri = uri.with_user(user)
    for name, value in draw(st.dictionaries(pname, st.none() | free_text.filter(bool), max_size=3)).items():
        uri = uri.with_param(name, value)
    if draw(st.booleans()):
        uri = uri.with_header(draw(pname), draw(free_text))
    return uri


@st.composite
def name_addrs(draw: st.DrawFn) -> NameAddr:
    address = NameAddr(uri=draw(uris()), display_name=draw(st.none() | free_text))
    for name, value in draw(st.dictionaries(pname, st.none() | free_text, max_size=3)).items():
        address = address.with_param(name, value)
    return address


@st.composite
def vias(draw: st.DrawFn) -> Via:
    transport = draw(st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS"]))
    via = Via(transport=transport, host=draw(hosts), port=draw(ports))
    return via.with_param("branch", draw(tokens)).with_param("rport", draw(st.none() | st.just("5060")))


@st.composite
def header_sets(draw: st.DrawFn, method: str) -> Headers:
    headers = Headers()
    for via in draw(st.lists(vias(), min_size=1, max_size=3)):
        headers.add(draw(st.sampled_from(["Via", "v", "VIA"])), str(via))
    headers.add("From", str(draw(name_addrs())))
    headers.add("t", str(draw(name_addrs())))
    headers.add("Call-ID", draw(tokens))
    headers.add("CSeq", str(CSeq(draw(st.integers(0, 2**32 - 1)), method)))
    contacts = draw(st.lists(name_addrs(), max_size=3))
    if contacts:
        headers.add("m", ", ".join(map(str, contacts)))
    for value in draw(st.lists(free_text, max_size=2)):
        headers.add("X-Own", value)
    return headers


@settings(max_examples=60, deadline=None)
@given(uris())
def test_uri(uri: Uri) -> None:
    again = Uri.parse(str(uri))
    assert again == uri
    assert again.equivalent(uri)
    assert again.user_part == uri.user_part


@settings(max_examples=60, deadline=None)
@given(name_addrs(), name_addrs())
def test_name_addr(one: NameAddr, two: NameAddr) -> None:
    assert NameAddr.parse(str(one)) == one
    assert NameAddr.parse_many(f"{one} ,{two}") == [one, two]


@settings(max_examples=30, deadline=None)
@given(st.data(), tokens, uris(), st.binary(max_size=60))
def test_request(data: st.DataObject, method: str, uri: Uri, body: bytes) -> None:
    uri = Uri(scheme=uri.scheme, user=uri.user, host=uri.host, port=uri.port, params=uri.params)
    request = Request(method, uri, data.draw(header_sets(method)), body)
    octets = bytes(request)
    again = parse_message(octets)
    assert isinstance(again, Request)
    assert (again.method, again.uri, again.body) == (method, uri, body)
    assert bytes(again) == octets
    assert (again.vias, again.from_, again.to, again.cseq) == (request.vias, request.from_, request.to, request.cseq)
    assert again.contacts == request.contacts
    assert StreamParser().feed(octets + octets) == [again, again]


@settings(max_examples=30, deadline=None)
@given(st.data(), st.integers(100, 699), free_text.map(str.strip), st.binary(max_size=60))
def test_response(data: st.DataObject, status: int, reason: str, body: bytes) -> None:
    response = Response(status, reason, data.draw(header_sets("OPTIONS")), body)
    again = parse_message(bytes(response))
    assert isinstance(again, Response)
    assert (again.status, again.reason, again.body) == (status, reason, body)
    assert bytes(again) == bytes(response)
