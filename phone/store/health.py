"""Health figures (R8 of docs/resilience.md), counted per day so that years of keep-alives fit in a few rows, and the
newest incidents with their reasons.

disconnected · reconnected (seconds) · reconnection_failed · keep_alive_answered (ms) · keep_alive_missed
"""

from __future__ import annotations

import datetime
import enum
import json
from typing import TYPE_CHECKING

from phone.protocol.codec import ProtocolError, from_json, to_json
from phone.protocol.health import HealthReport, Incident

if TYPE_CHECKING:
    import asyncio
    import sqlite3

    from phone.store.database import Database

KEPT_DAYS = 400
KEPT_INCIDENTS = 500
REPORTED_INCIDENTS = 100


class Figure(enum.Enum):
    """What is counted; the value is the row's name."""

    DISCONNECTED = "disconnected"
    RECONNECTED = "reconnected"
    RECONNECTION_FAILED = "reconnection_failed"
    KEEP_ALIVE_ANSWERED = "keep_alive_answered"
    KEEP_ALIVE_MISSED = "keep_alive_missed"


class Health:
    """The figures of one account."""

    def __init__(self, database: Database, account: str) -> None:
        self._database = database
        self._account = account

    def count(self, figure: Figure, at: float, amount: float = 0.0) -> asyncio.Future[None]:
        """Count one occurrence at Unix time ``at``, adding ``amount`` to the figure's total."""
        day = _day(at)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO health VALUES (?, ?, ?, 1, ?) "
                "ON CONFLICT DO UPDATE SET count = count + 1, total = total + excluded.total",
                (self._account, day, figure.value, amount),
            )
            oldest = _day(at - KEPT_DAYS * 86400)
            connection.execute("DELETE FROM health WHERE account = ? AND day < ?", (self._account, oldest))

        return self._database.run(work)

    def write_down(self, incident: Incident) -> asyncio.Future[None]:
        """Keep an incident; only the newest ones stay."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO incidents (account, at, incident) VALUES (?, ?, ?)",
                (self._account, incident.at, json.dumps(to_json(incident))),
            )
            connection.execute(
                "DELETE FROM incidents WHERE account = ?1 AND id <= (SELECT id FROM incidents WHERE account = ?1 "
                "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (self._account, KEPT_INCIDENTS),
            )

        return self._database.run(work)

    def report(self, since: float) -> asyncio.Future[HealthReport]:
        """The figures from the day of Unix time ``since`` on."""

        def work(connection: sqlite3.Connection) -> HealthReport:
            rows = connection.execute(
                "SELECT figure, SUM(count), SUM(total) FROM health WHERE account = ? AND day >= ? GROUP BY figure",
                (self._account, _day(since)),
            ).fetchall()
            (days,) = connection.execute(
                "SELECT COUNT(DISTINCT day) FROM health WHERE account = ? AND day >= ?", (self._account, _day(since))
            ).fetchone()
            lines = connection.execute(
                "SELECT incident FROM incidents WHERE account = ? AND at >= ? ORDER BY id DESC LIMIT ?",
                (self._account, since, REPORTED_INCIDENTS),
            ).fetchall()
            counted = {name: (count, total) for name, count, total in rows}
            return _report(days, counted, tuple(found for (line,) in lines if (found := _incident(line)) is not None))

        return self._database.run(work)


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).date().isoformat()


def _incident(line: str) -> Incident | None:
    try:
        return from_json(Incident, json.loads(line))
    except (ProtocolError, ValueError):
        return None  # of a newer version


def _report(days: int, rows: dict[str, tuple[int, float]], incidents: tuple[Incident, ...]) -> HealthReport:
    lost, _ = rows.get(Figure.DISCONNECTED.value, (0, 0.0))
    back, back_s = rows.get(Figure.RECONNECTED.value, (0, 0.0))
    failed, _ = rows.get(Figure.RECONNECTION_FAILED.value, (0, 0.0))
    answered, answered_ms = rows.get(Figure.KEEP_ALIVE_ANSWERED.value, (0, 0.0))
    missed, _ = rows.get(Figure.KEEP_ALIVE_MISSED.value, (0, 0.0))
    return HealthReport(
        days=days,
        disconnections=lost,
        disconnections_per_day=_ratio(lost, days),
        reconnections=back,
        reconnection_failures=failed,
        reconnection_success_rate=_ratio(back, back + failed),
        mean_reconnection_s=_ratio(back_s, back),
        keep_alives=answered + missed,
        keep_alive_failure_rate=_ratio(missed, answered + missed),
        mean_keep_alive_rtt_ms=_ratio(answered_ms, answered),
        incidents=incidents,
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
