"""Which three bands a person sees as colours, and how bright: pixels to a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

NO_DATA_GREY = 232
_COLOURS = (("red", "r"), ("green", "g"), ("blue", "b"))


def stretch_rgb(
    data: NDArray[Any], valid: NDArray[np.bool_], *, bands: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Turn bands into a picture, each channel stretched from its 2nd to its 98th percentile.

    Bands named red, green and blue are taken where there are all three, else the bands
    3, 2, 1 as sensors order them; three bands of 8 bits are a picture already and keep their
    order and colour balance. One or two bands give a grey picture of the first.

    Args:
        data: `[band, row, col]`, any numeric type.
        valid: `[row, col]`; what is not valid becomes light grey.
        bands: Names of the bands, or none.

    Returns:
        uint8 `[row, col, 3]`.
    """
    picture = len(data) == 3 and data.dtype == np.uint8
    chosen = data[list(choose_rgb(len(data), bands=bands, picture=picture))].astype(np.float64)
    usable = valid & np.isfinite(chosen).all(axis=0)
    limits = _find_limits(chosen[:, usable], together=picture)
    low, high = limits[..., None, None]
    scaled = np.where(usable, (chosen - low) / np.maximum(high - low, 1e-12), 0.0)
    result = np.rint(255 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)
    result[:, ~usable] = NO_DATA_GREY
    return np.ascontiguousarray(np.moveaxis(result, 0, -1))


def choose_rgb(
    count: int, *, bands: Sequence[str] = (), picture: bool = False
) -> tuple[int, int, int]:
    """Choose the positions of the bands to show as red, green and blue."""
    named = [_find_band(bands, names) for names in _COLOURS]
    red, green, blue = named
    if red is not None and green is not None and blue is not None:
        return red, green, blue
    if count < 3:
        return 0, 0, 0
    return (0, 1, 2) if picture else (2, 1, 0)


def _find_band(bands: Sequence[str], names: tuple[str, ...]) -> int | None:
    """Find a band by a word of its name; "red edge" is not red."""
    for position, band in enumerate(bands):
        words = re.findall(r"[a-z]+", band.casefold())
        if set(words) & set(names) and "edge" not in words:
            return position
    return None


def _find_limits(values: NDArray[np.float64], *, together: bool) -> NDArray[np.float64]:
    """Return `[2, channel]`: the values that become black and full."""
    if not values.size:
        return np.stack([np.zeros(len(values)), np.ones(len(values))])
    if together:
        return np.repeat(np.percentile(values, [2, 98])[:, None], len(values), axis=1)
    return np.asarray(np.percentile(values, [2, 98], axis=1))
