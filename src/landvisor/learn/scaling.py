"""How native pixel values become what an encoder reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card
from landvisor.geo.radiometry import Radiometry

LIMIT = 8.0
"""Standardised values are clipped here: far beyond any reflectance, short of sensor spikes."""
_DEAD = 1e30  # divides a band that never varies down to nothing, and still fits JSON and float32
_LOW, _HIGH = 0.02, 0.98


@dataclass(frozen=True)
class Scaling:
    """Subtract and divide per band, in native units: `(value - mean) / std`.

    Attributes:
        mean: What is subtracted.
        std: What is divided by; huge for a band without content, which becomes 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def apply(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Standardise pixels; invalid ones become 0, the encoder's idea of nothing special.

        Args:
            data: `[..., band, row, col]` in native units.
            valid: `[..., row, col]`.

        Returns:
            float32 of the shape of `data`, within `LIMIT` of 0.
        """
        # 32-bit integers and doubles lose the difference of large neighbours in float32
        work = np.result_type(data.dtype, np.float32)
        mean = np.asarray(self.mean, dtype=work)[:, None, None]
        scaled = data.astype(work)
        with np.errstate(invalid="ignore", over="ignore"):  # what is invalid may hold anything
            scaled -= mean
            scaled *= 1 / np.asarray(self.std, dtype=work)[:, None, None]
        np.clip(scaled, -LIMIT, LIMIT, out=scaled)
        np.copyto(scaled, 0, where=~valid[..., None, :, :])
        return scaled.astype(np.float32, copy=False)


def make_scaling(
    radiometry: Radiometry, *, dtype: str | None, mean: tuple[float, ...], std: tuple[float, ...]
) -> Scaling:
    """Compose the way to 0..1 with an encoder's own mean and deviation.

    8-bit pictures are divided by 255, as encoders were trained. Anything else maps its quantiles
    2 % and 98 % to 0 and 1, because reflectance, backscatter and heights have no common range.

    Args:
        radiometry: Statistics of the training imagery.
        dtype: Its data type, such as `uint8`; None takes quantiles whatever it is.
        mean: What the encoder subtracts per band on the 0..1 scale.
        std: What it divides by per band on the 0..1 scale.
    """
    spans = [_unit_span(np.asarray(q), dtype=dtype) for q in radiometry.quantiles]
    bands = list(zip(spans, mean, std, strict=True))
    return Scaling(
        mean=tuple(low + middle * (high - low) for (low, high), middle, _ in bands),
        std=tuple(wide * (high - low) if high > low else _DEAD for (low, high), _, wide in bands),
    )


def scaling_of_card(card: Card) -> Scaling:
    """Return the scaling that a model was trained with."""
    return Scaling(card.input_mean, card.input_std)


def _unit_span(quantiles: NDArray[np.float64], *, dtype: str | None) -> tuple[float, float]:
    first, last = float(quantiles[0]), float(quantiles[-1])
    if not last > first:
        return first, first
    if dtype == "uint8":
        return 0.0, 255.0
    shares = np.linspace(0, 1, len(quantiles))
    low, high = (float(np.interp(share, shares, quantiles)) for share in (_LOW, _HIGH))
    return (low, high) if high > low else (first, last)
