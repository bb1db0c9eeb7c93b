"""The engine's log: one rotating file, readable by its owner alone, with secrets taken out on the way in.

any logger ──▶ Redaction ──▶ file (5 x 2 MB)  ─ and, when verbose in the foreground ─▶ stderr
descriptor 2 (C libraries) ─────▲
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

MAX_FILE_BYTES = 2 * 1024 * 1024
KEPT_FILES = 5
_ROOTS = ("sipcore", "audio", "phone")
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_MASK = "***"
_TAIL_BYTES = 128 * 1024
_MAX_TAIL_LINES = 1000

# What may carry a secret even if every caller meant well: digest answers (RFC 7616 §3.4), SDES keys (RFC 4568 §4),
# keys of DTLS and SRTP never reach a logger.
_PATTERNS = (
    (re.compile(r"(?i)\b(response|nextnonce|rspauth)(\s*=\s*)\"?[0-9a-f]{16,}\"?"), rf"\1\2{_MASK}"),
    (re.compile(r"(?i)(a=crypto:\d+\s+\S+\s+inline:)[^\s|;]+"), rf"\1{_MASK}"),
    (re.compile(r"(?i)\binline:[A-Za-z0-9+/=]{20,}"), f"inline:{_MASK}"),
    (re.compile(r"(?i)\b(password|passwd|secret)(\s*[=:]\s*)\S+"), rf"\1\2{_MASK}"),
    (re.compile(r"(?im)^((?:proxy-)?authorization\s*:\s*basic\s+)\S+"), rf"\1{_MASK}"),
)


class Redaction(logging.Filter):
    """Replaces passwords and what is derived from them in every record, arguments and tracebacks included."""

    def __init__(self) -> None:
        super().__init__()
        self._words: set[str] = set()

    def add(self, password: str) -> None:
        """Take ``password`` out wherever it appears; one of under four characters would mask ordinary text."""
        if len(password) >= 4:
            self._words.add(password)

    def clean(self, text: str) -> str:
        """``text`` without secrets."""
        for word in self._words:
            text = text.replace(word, _MASK)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; nothing is ever dropped."""
        record.msg = self.clean(record.getMessage())
        record.args = None
        if record.exc_info or record.exc_text:  # another handler may have written the traceback into the record
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]
            record.exc_text = self.clean(text)
        return True


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating file that only its owner may read. A full disk costs lines of it, never a call."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Lose the line: standard error is not the place for a traceback with each of them."""

    def close(self) -> None:
        """Close it; what cannot be written any more is lost."""
        with contextlib.suppress(OSError):
            super().close()

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        except OSError:
            pass  # somebody else's file, chosen with --log: its mode is their business
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")


class Log:
    """The running log of one engine."""

    def __init__(self, file: Path, *, verbose: bool, echo: bool = False) -> None:
        """Start logging to ``file``; ``echo`` repeats it on stderr when verbose. Raises OSError."""
        self.redaction = Redaction()
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handler = _PrivateFile(file, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES - 1, encoding="utf-8")
        self._handlers: list[logging.Handler] = [self._handler]
        if echo:
            self._handlers.append(logging.StreamHandler(sys.stderr))
        for handler in self._handlers:
            handler.setFormatter(logging.Formatter(_FORMAT))
            handler.addFilter(self.redaction)
            logging.getLogger().addHandler(handler)
        self.set_verbose(verbose)

    def set_verbose(self, on: bool) -> None:
        """Switch between everything and what matters, at run time."""
        logging.getLogger().setLevel(logging.WARNING)  # other people's libraries
        for name in _ROOTS:
            logging.getLogger(name).setLevel(logging.DEBUG if on else logging.INFO)
        for handler in self._handlers[1:]:
            handler.setLevel(logging.DEBUG if on else logging.CRITICAL)

    def close(self) -> None:
        """Stop logging and close the file."""
        for handler in self._handlers:
            logging.getLogger().removeHandler(handler)
            handler.close()


def tail(file: Path, lines: int) -> list[str]:
    """The newest ``lines`` lines of a log, oldest first; none where there is no log."""
    try:
        with file.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - _TAIL_BYTES))
            data = handle.read(_TAIL_BYTES)
    except OSError:
        return []
    found = data.decode("utf-8", "replace").splitlines()
    if size > _TAIL_BYTES:
        found = found[1:]  # the first one is cut
    return found[-max(1, min(lines, _MAX_TAIL_LINES)) :]
