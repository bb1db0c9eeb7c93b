"""The one account of the demo's PBX, known to both sides."""

from __future__ import annotations

USERNAME, PASSWORD = "1001", "demo"
DOMAIN = "demo.invalid"
