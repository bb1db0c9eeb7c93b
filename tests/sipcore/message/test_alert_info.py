"""Alert-Info tells colleagues from others, and nothing in it can do more than that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipcore.errors import ParseError
from sipcore.events import AlertSource
from sipcore.message.alert_info import AlertInfo, alert_source

IN, OUT = AlertSource.INTERNAL, AlertSource.EXTERNAL


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ("<urn:alert:source:internal>", IN),
        ("<urn:alert:source:external>", OUT),
        ("<URN:Alert:Source:Internal>", IN),
        ("<urn:alert:source:internal:desk@example.com>", IN),
        ("<urn:alert:source:friend>", None),
        ("<urn:alert:service:normal>", None),
        ("<http://127.0.0.1>;info=alert-internal", IN),
        ("<http://www.notused.com>;info=internal", IN),
        ("<http://pbx/bell.wav> ; info=alert-external ; x-line-id=0", OUT),
        ("<http://127.0.0.1/Bellcore-dr1>", None),
        ("info=internal", IN),
        (";info=alert-internal", IN),
        ("info=alert-autoanswer;delay=0", None),
        ('<sip:x>;info="Internal"', IN),
        ("Bellcore-dr2", None),
        ("<http://evil/internal>", None),
        ("internal", None),
    ],
)
def test_who_calls(value: str, source: AlertSource | None) -> None:
    assert AlertInfo.parse(value).source is source
    assert AlertInfo.parse(str(AlertInfo.parse(value))).source is source
    assert alert_source([value]) is source


def test_the_first_that_tells_counts() -> None:
    """RFC 7462 lets several values each say something else."""
    assert alert_source(["<urn:alert:service:normal>, <urn:alert:source:external>", "info=internal"]) is OUT
    assert alert_source(["<urn:alert:priority:low>", "", "<broken", "info=internal"]) is IN
    assert alert_source([]) is None


@pytest.mark.parametrize("value", ["<http://a", "<a b>", "<http://a>x", "info=internal;;", "<a>" * 2])
def test_what_cannot_be_read(value: str) -> None:
    with pytest.raises(ParseError):
        AlertInfo.parse(value)
    assert alert_source([value]) is None


def test_lengths_and_numbers_are_bounded() -> None:
    with pytest.raises(ParseError, match="too long"):
        AlertInfo.parse("<" + "a" * 600 + ">;info=internal")
    assert alert_source(["<x:" + "a" * 100_000 + ">;info=internal"]) is None
    assert alert_source(["<urn:alert:service:normal>"] * 1000 + ["info=internal"]) is None
    assert alert_source([",".join(["<a:b>"] * 10_000)]) is None


@given(st.text(max_size=80) | st.text(alphabet='<>;,="infoalertur:-\\ ', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    alert_source([text])
    try:
        value = AlertInfo.parse(text)
    except ParseError:
        return
    assert AlertInfo.parse(str(value)) == value
