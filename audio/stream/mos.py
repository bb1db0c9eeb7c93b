"""Estimated quality: the E-model of ITU-T G.107 for G.711, with Bpl of packet loss concealment (G.113 appendix I).

R = 93.2 - Id(delay) - Ie,eff(loss)          MOS = 1 + 0.035 R + 7e-6 R (R - 60) (100 - R)
"""

from __future__ import annotations

_R_DEFAULT = 93.2
_IE_G711 = 0.0
_BPL_CONCEALED = 25.1
_BPL_PLAIN = 4.3


def mos(*, delay_ms: float, loss: float, burst_ratio: float = 1.0, concealed: bool = True) -> float:
    """MOS from 1.0 to 4.5 for one-way mouth-to-ear ``delay_ms`` and the fraction ``loss`` of sound that never came in
    time.

    ``burst_ratio`` is 1 for independent losses, more when they come together (G.107 §3.5).
    """
    delay = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    percent = min(max(loss, 0.0), 1.0) * 100
    robustness = _BPL_CONCEALED if concealed else _BPL_PLAIN
    equipment = _IE_G711 + (95.0 - _IE_G711) * percent / (percent / max(burst_ratio, 1.0) + robustness)
    return from_r(_R_DEFAULT - delay - equipment)


def from_r(r: float) -> float:
    """MOS for a transmission rating (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
