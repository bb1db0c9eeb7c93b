"""What may reach the log, and who may read it."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import pytest

from phone import logging as phone_logging
from phone.logging import Log, Redaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    levels = {name: logging.getLogger(name).level for name in ("", "sipcore", "audio", "phone")}
    made = Log(tmp_path / "state/offhook.log", verbose=False)
    yield made
    made.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('Authorization: Digest username="1", response="0123456789abcdef0123456789abcdef"', "0123456789abcdef"),
        ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20", "d0RmdmcmVCspeEc3"),
        ("the password is hunter2hunter2, honestly", "hunter2hunter2"),
        ("password=letmein next", "letmein"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ],
)
def test_secrets_never_arrive(text: str, secret: str) -> None:
    redaction = Redaction()
    redaction.add("hunter2hunter2")
    assert secret not in redaction.clean(text)


def test_arguments_and_tracebacks_are_cleaned(log: Log, tmp_path: Path) -> None:
    log.redaction.add("hunter2")
    logger = logging.getLogger("phone.test")
    logger.warning("tried %s and %r", "hunter2", {"key": "hunter2"})
    try:
        raise ValueError("hunter2 is wrong")
    except ValueError:
        logger.exception("failed")
    text = (tmp_path / "state/offhook.log").read_text()
    assert "hunter2" not in text
    assert "ValueError: *** is wrong" in text


def test_is_its_owners_alone(log: Log, tmp_path: Path) -> None:
    assert (tmp_path / "state/offhook.log").stat().st_mode & 0o777 == 0o600


def test_verbose_can_be_switched(log: Log, tmp_path: Path) -> None:
    logger = logging.getLogger("sipcore.test")
    logger.debug("first")
    log.set_verbose(True)
    logger.debug("second")
    logging.getLogger("somebody.else").debug("third")
    log.set_verbose(False)
    logger.debug("fourth")
    text = (tmp_path / "state/offhook.log").read_text()
    assert "second" in text
    assert not any(word in text for word in ("first", "third", "fourth"))


def test_rotates_and_stays_private(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log._handler, "maxBytes", 2000)
    for number in range(200):
        logging.getLogger("phone.test").warning("line %d %s", number, "x" * 50)
    files = sorted((tmp_path / "state").iterdir())
    assert len(files) == phone_logging.KEPT_FILES
    assert all(file.stat().st_mode & 0o777 == 0o600 and file.stat().st_size <= 2000 for file in files)


def test_what_cannot_be_encoded_is_no_trouble(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Our handler alone: a report of pytest's own with such a character cannot travel between its processes.
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [item for item in root.handlers if isinstance(item, logging.FileHandler)])
    logging.getLogger("phone.test").warning("%s", "lone \ud800 surrogate")
    assert "lone" in (tmp_path / "state/offhook.log").read_text()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")  # noqa: PTH110 - at import
def test_a_full_disk_costs_lines_and_nothing_else(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    if (stream := log._handler.stream) is not None:
        stream.close()
    log._handler.stream = open("/dev/full", "a", encoding="utf-8")  # noqa: PTH123, SIM115 - the handler closes it
    logging.getLogger("phone.test").warning("lost")
    log.close()
    assert capsys.readouterr().err == ""
