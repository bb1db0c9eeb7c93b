"""The period of voiced sound by normalised cross-correlation, shared by concealment and time scaling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float32]


def best_lag(signal: Signal, template: int, low: int, high: int) -> tuple[int, float]:
    """The lag within ``low..high`` at which the last ``template`` samples look most like what came before, and how
    much (-1 to 1).

    ``signal`` holds at least ``template + high`` samples; the earlier ones are not looked at.
    """
    window = signal[-template - high :]
    tail = window[high:]
    # correlation[i] compares with the samples starting at i: lag is high - i.
    scores = np.correlate(window[: high - low + template], tail, mode="valid")
    squares = np.concatenate([[0.0], np.cumsum(window.astype(np.float64) ** 2)])
    energies = squares[template : template + high - low + 1] - squares[: high - low + 1]
    tail_energy = float(squares[-1] - squares[high])
    # Samples of a few units are quantisation noise: the constant keeps them from looking periodic.
    normal = scores / np.sqrt(energies * tail_energy + (64.0 * template) ** 2)
    index = int(np.argmax(normal))
    return high - index, float(normal[index])
