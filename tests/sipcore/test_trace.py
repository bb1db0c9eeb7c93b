"""Nothing secret enters the message log (promise R6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.trace import REDACTED, MessageLog, Way, redact, summarise

REGISTER = (
    "REGISTER sip:pbx.example SIP/2.0\r\n"
    "CSeq: 5 REGISTER\r\n"
    'Authorization: Digest username="1001", realm="pbx", nonce="n0nce", uri="sip:pbx.example",\r\n'
    ' response="0123456789abcdef", algorithm=MD5, cnonce="cn0nce", opaque="0paque", qop=auth, nc=00000001\r\n'
    "\r\n"
)


def test_digest_values_are_redacted_and_the_rest_is_kept() -> None:
    text = redact(REGISTER)
    for secret in ("n0nce", "0123456789abcdef", "0paque"):
        assert secret not in text
    for kept in ('username="1001"', 'realm="pbx"', "algorithm=MD5", "nc=00000001", 'uri="sip:pbx.example"'):
        assert kept in text


@pytest.mark.parametrize(
    "line",
    [
        'Proxy-Authorization: Digest response="SECRET"',
        "Authorization: Digest response=SECRET, nonce=x",
        'WWW-Authenticate: Digest realm="a", nonce="SECRET"',
        'Authentication-Info: nextnonce="SECRET", rspauth="SECRET"',
        "Authorization: Basic SECRET",
        "Proxy-Authorization: Bearer SECRET.SECRET\r\n SECRET",
        'Authorization: Digest response="SECRET',
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:SECRET|2^20|1:4",
        "a=ice-pwd:SECRET",
        "From: <sip:alice:SECRET@example.com>",
        "Signal=SECRET",
        "authorization : digest RESPONSE = SECRET",
    ],
)
def test_secrets(line: str) -> None:
    text = redact(f"OPTIONS sip:a SIP/2.0\r\n{line}\r\n\r\n")
    assert "SECRET" not in text
    assert REDACTED in text


@given(st.text())
def test_redacting_anything_raises_nothing_and_is_stable(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_summaries() -> None:
    assert summarise(REGISTER) == "REGISTER sip:pbx.example"
    assert summarise("SIP/2.0 200 OK\r\nCSeq: 5 REGISTER\r\n\r\n") == "200 OK (5 REGISTER)"


def test_the_ring_is_bounded_in_entries_and_characters() -> None:
    log = MessageLog(max_entries=3, max_characters=100)
    for number in range(5):
        log.record(Way.OUT, 1, b"OPTIONS sip:%d SIP/2.0\r\n\r\n" % number, 1.0)
    assert [entry.summary for entry in log] == ["OPTIONS sip:2", "OPTIONS sip:3", "OPTIONS sip:4"]
    log.record(Way.IN, 1, b"x" * 90, 2.0)
    assert len(log) == 1


def test_keep_alives_are_no_messages_and_bytes_are_taken_as_they_come() -> None:
    log = MessageLog()
    log.record(Way.IN, 1, b"\r\n\r\n", 1.0)
    assert len(log) == 0
    log.record(Way.IN, 1, b"\xff\xfe", 1.0)
    assert len(log) == 1


def test_log_lines_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "sipcore")
    MessageLog().record(Way.OUT, 1, REGISTER.encode(), 1.0)
    assert [record.getMessage() for record in caplog.records] == ["> REGISTER sip:pbx.example"]
