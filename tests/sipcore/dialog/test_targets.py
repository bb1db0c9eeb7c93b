"""What users dial (RFC 3261 §19.1.6, RFC 3966)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.dialog.targets import target_uri
from sipcore.errors import LocalProtocolError
from sipcore.message.uri import Uri


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("600", "sip:600@example.com"),
        (" 600 ", "sip:600@example.com"),
        ("+358 (40) 123-45.67", "sip:+358401234567@example.com"),
        ("09/123 456", "sip:09123456@example.com"),
        ("*61", "sip:*61@example.com"),
        ("#31#600", "sip:%2331%23600@example.com"),
        ("alice", "sip:alice@example.com"),
        ("sip:600", "sip:600@example.com"),
        ("sip:pbx.example.org", "sip:pbx.example.org"),
        ("sip:[2001:db8::1]", "sip:[2001:db8::1]"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com"),
        ("sips:bob@biloxi.com;transport=tls", "sips:bob@biloxi.com;transport=tls"),
        ("bob@biloxi.com", "sip:bob@biloxi.com"),
        ("SIP:bob@biloxi.com:5070", "sip:bob@biloxi.com:5070"),
        ("sip:+1 555-0100@biloxi.com", "sip:+15550100@biloxi.com"),
        ("sip:b%20b@biloxi.com", "sip:b%20b@biloxi.com"),
        ("tel:+1-201-555-0123;phone-context=x", "sip:+12015550123@example.com"),
        ("tel://112", "sip:112@example.com"),
        ("callto:600", "sip:600@example.com"),
    ],
)
def test_targets_become_uris(target: str, uri: str) -> None:
    """Numbers lose their separators; the user part is escaped."""
    assert str(target_uri(target, "example.com")) == uri


@pytest.mark.parametrize(
    "target", ["", "   ", "a b", "@x.com", "sip:", "tel:", "()", "sip:a@", "a\nb", "x" * 300, "sip:a@b c", "<x>@y z"]
)
def test_what_is_no_target_is_said_so(target: str) -> None:
    """A sentence, no traceback."""
    with pytest.raises(LocalProtocolError, match="neither a number nor an address"):
        target_uri(target, "example.com")


@given(st.text(max_size=40))
def test_any_text_is_a_uri_or_a_sentence(text: str) -> None:
    """What comes out can be parsed back."""
    try:
        uri = target_uri(text, "example.com")
    except LocalProtocolError:
        return
    assert Uri.parse(str(uri)).host
