"""The same messages through an unrelated parser, the `sipmessage` package: what both accept must mean the same."""

import pytest
import sipmessage

from sipcore.message.message import Request, Response
from sipcore.message.parse import parse_message
from sipcore.message.uri import NameAddr, Uri
from tests.sipcore.message import samples
from tests.sipcore.message.test_rfc4475 import ACCEPTED

# RFC 4475 has these for valid, and there sipmessage differs from it or takes them not at all: folding and blanks before
# the colon (wsinv, semiuri), parameters and octets of unusual kind (esc01, intmeth, longreq), opaque or escaped URIs
# in Contact (unksm2, regescrt), octets after the body (dblreq). tests of rfc4475 pin down what each means.
ORACLE_DIFFERS = {"wsinv", "semiuri", "esc01", "intmeth", "longreq", "unksm2", "regescrt", "dblreq"}
# Its Contact is invalid, which only the reader of that field is told.
ORACLE_DIFFERS |= {"regbadct"}

MESSAGES = dict(zip(["invite", "response", "notify", "register"], samples.ORDINARY, strict=True)) | {
    name: data for name, data in samples.torture().items() if name in ACCEPTED - ORACLE_DIFFERS
}


def same_uri(ours: Uri, theirs: sipmessage.URI) -> None:
    assert (ours.scheme, ours.host, ours.port) == (theirs.scheme, theirs.host, theirs.port)
    assert ours.user_part == theirs.user
    assert dict(ours.params) == dict(theirs.parameters.items())


def same_address(ours: NameAddr, theirs: sipmessage.Address) -> None:
    assert (ours.display_name or "") == theirs.name
    assert {name for name, _ in ours.params} == set(theirs.parameters.keys())
    same_uri(ours.uri, theirs.uri)


def compare(data: bytes) -> None:
    ours = parse_message(data)
    theirs = sipmessage.Message.parse(data)
    if isinstance(ours, Request):
        assert isinstance(theirs, sipmessage.Request)
        assert ours.method == theirs.method
        same_uri(ours.uri, theirs.uri)
    else:
        assert isinstance(ours, Response)
        assert isinstance(theirs, sipmessage.Response)
        assert (ours.status, ours.reason) == (theirs.code, theirs.phrase)
    assert ours.body == theirs.body
    assert ours.call_id == theirs.call_id
    assert (ours.cseq.number, ours.cseq.method) == (theirs.cseq.sequence, theirs.cseq.method)
    same_address(ours.from_, theirs.from_address)
    same_address(ours.to, theirs.to_address)
    assert [(via.transport, via.host, via.port, via.branch) for via in ours.vias] == [
        (via.transport, via.host, via.port, via.parameters.get("branch")) for via in theirs.via
    ]
    for mine, other in zip(ours.routes, theirs.route, strict=True):
        same_address(mine, other)
    if not ours.contact_is_star:
        for mine, other in zip(ours.contacts, theirs.contact, strict=True):
            same_address(mine, other)
    if ours.content_type is None:
        assert theirs.content_type is None
    else:
        assert theirs.content_type is not None
        assert ours.content_type.essence == theirs.content_type.mime_type


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_both_parsers_agree(name: str) -> None:
    compare(MESSAGES[name])
