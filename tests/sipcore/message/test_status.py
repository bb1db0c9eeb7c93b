"""Status codes: RFC 3261 §8.1.3.2 and §21."""

from sipcore.message import status


def test_classes() -> None:
    assert [status.is_provisional(code) for code in (99, 100, 199, 200)] == [False, True, True, False]
    assert [status.is_final(code) for code in (199, 200, 699)] == [False, True, True]
    assert [status.is_success(code) for code in (199, 200, 299, 300)] == [False, True, True, False]
    assert [status.is_redirect(code) for code in (299, 300, 399, 400)] == [False, True, True, False]
    assert [status.is_failure(code) for code in (399, 400, 699)] == [False, True, True]
    assert [status.is_global_failure(code) for code in (599, 600, 699)] == [False, True, True]


def test_unknown_codes_stand_for_their_class() -> None:
    """§8.1.3.2."""
    assert [status.effective(code) for code in (100, 186, 200, 299, 431, 486, 599, 699)] == [
        100,
        183,
        200,
        200,
        400,
        486,
        500,
        600,
    ]


def test_phrases() -> None:
    assert status.reason_phrase(486) == "Busy Here"
    assert status.reason_phrase(431) == "Bad Request"
    assert status.reason_phrase(999) == "Unknown"
