"""How the values of an image are moved to the distribution of another's, band by band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landvisor.errors import SceneError
from landvisor.geo.scene import find_valid
from landvisor.parallel import map_ordered

SMALL_BYTES = 2
"""Integers of at most this size are counted value by value; the table has 65,536 entries."""

_MUCH = 40_000_000  # values; for fewer, threads took longer to wake than they saved
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """How the values of a band are distributed.

    Attributes:
        values: `[n]`, ascending, each once.
        shares: `[n]`: share of the pixels with at most that value; the last is 1.
    """

    values: _Values
    shares: _Values


@dataclass(frozen=True)
class Transfer:
    """A monotone function of a band's values.

    Attributes:
        before: `[n]`, ascending.
        after: `[n]`, what these become; values in between follow the straight line, those beyond
            the ends move as far as the end does.
    """

    before: _Values
    after: _Values

    def apply(self, values: NDArray[Any], *, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Move values of any shape; integers are rounded, and kept within their type."""
        low, high = self.before[[0, -1]]
        given = values.astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity stays what it is
            beyond = given - np.clip(given, low, high)
        return settle(np.interp(given, self.before, self.after) + beyond, dtype)


def settle(values: _Values, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Turn numbers into a data type: integers by rounding and clipping."""
    if dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def is_small(dtype: np.dtype[Any]) -> bool:
    """Tell whether values of a type are counted one by one, with a table of all of them."""
    return dtype.kind in "ui" and dtype.itemsize <= SMALL_BYTES


def count_values(band: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Count every value of a band's type, from its smallest on.

    Args:
        band: Integers of at most 16 bits, any shape.
        valid: Of the same shape; None counts all.
    """
    from landvisor.geo.value_counts import count, count_bytes  # imports numba

    low, size = _range(band.dtype)
    codes = _codes(band)
    known = None if valid is None else np.ascontiguousarray(valid).ravel()
    whole = len(codes) // 8 * 8 if known is None and size == 256 else 0
    counts = count(codes[whole:], known, size)
    if whole:
        counts += count_bytes(codes[:whole].view(np.uint64))
    return np.roll(counts, -low)  # the codes of negative values come last


def distribution_of_counts(counts: NDArray[np.int64], low: int) -> Distribution:
    """Make a distribution of counts `[value]`, the first being that of `low`; not all are 0."""
    present = np.flatnonzero(counts)
    found = counts[present]
    return Distribution((present + low).astype(np.float64), np.cumsum(found) / found.sum())


def distribution_of_values(values: NDArray[Any]) -> Distribution:
    """Make a distribution of single values, such as equally spaced quantiles; at least one."""
    distinct, counts = np.unique(values, return_counts=True)
    return Distribution(distinct.astype(np.float64), np.cumsum(counts) / values.size)


def quantiles_of_counts(counts: NDArray[np.int64], low: int, shares: _Values) -> _Values:
    """Compute quantiles of counted values, as `numpy.quantile` does of the values themselves."""
    ends = np.cumsum(counts)
    position = shares * (ends[-1] - 1)
    below = np.floor(position)
    first = np.searchsorted(ends, below, side="right") + low
    second = np.searchsorted(ends, np.ceil(position), side="right") + low
    return np.asarray(first + (second - first) * (position - below))


def match_distribution(source: Distribution, reference: Distribution) -> Transfer:
    """Find what a band's values become for their distribution to be that of a reference.

    A value becomes the one that the same share of the reference does not exceed, interpolated
    between values that occur.

    References:
        Gonzalez and Woods (2018), Digital Image Processing, 4th ed., section 3.3, eq. 3-17 to 3-21;
        interpolated as in `skimage.exposure.match_histograms`.
    """
    after = np.interp(source.shares, reference.shares, reference.values)
    return Transfer(source.values, after)


def make_table(transfer: Transfer, *, source: np.dtype[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Tabulate a transfer for all values of a small integer type, from its smallest on."""
    low, size = _range(source)
    return transfer.apply(np.arange(low, low + size), dtype=dtype)


def apply_table(band: NDArray[Any], table: NDArray[Any], *, out: NDArray[Any]) -> None:
    """Write to `out` the entries of small integers in a table of `make_table`.

    Args:
        band: Any shape.
        table: Of the type of `band`.
        out: Contiguous, of the shape of `band` and the type of `table`.
    """
    from landvisor.geo.value_counts import look_up  # imports numba

    look_up(_codes(band), np.roll(table, _range(band.dtype)[0]), out.reshape(-1))


def match_histogram(
    image: NDArray[Any],
    reference: NDArray[Any],
    *,
    valid: NDArray[np.bool_] | None = None,
    reference_valid: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """Give an image the band distributions of a reference image.

    Args:
        image: `[band, row, col]`, or `[row, col]`; numbers of any type.
        reference: As many bands, of any size and type.
        valid: `[row, col]`: what counts and is moved; all but NaN by default.
        reference_valid: The same of the reference.

    Returns:
        As `image`, in the data type of `reference`. Integers are rounded, where
        `skimage.exposure.match_histograms` cuts off their fraction; before that both are the
        same. Pixels that are not valid keep their value, or are 0 where the type changes.

    Raises:
        SceneError: If the bands differ in number, or one of the images has no valid pixel.

    Example:
        ``matched = landvisor.match_histogram(image, reference)``
    """
    ours, theirs = np.atleast_3d(image.T).T, np.atleast_3d(reference.T).T
    if len(ours) != len(theirs):
        raise SceneError(
            f"an image of {len(ours)} bands was given with a reference of {len(theirs)}; give as "
            "many of both"
        )
    known, known_there = _complete(ours, valid), _complete(theirs, reference_valid)

    workers = None if ours.size + theirs.size > _MUCH else 1
    bands = [*((band, known) for band in ours), *((band, known_there) for band in theirs)]
    found = map_ordered(lambda part: _distribute(*part), bands, workers=workers)
    matched = np.empty(ours.shape, dtype=theirs.dtype)

    def move(band: int) -> None:
        transfer = match_distribution(found[band], found[len(ours) + band])
        _move(ours[band], known, transfer, out=matched[band])

    map_ordered(move, range(len(ours)), workers=workers)
    return matched.reshape(image.shape)


def _move(
    band: NDArray[Any], valid: NDArray[np.bool_] | None, transfer: Transfer, *, out: NDArray[Any]
) -> None:
    if is_small(band.dtype):
        apply_table(band, make_table(transfer, source=band.dtype, dtype=out.dtype), out=out)
    else:
        usable = band if valid is None else np.where(valid, band, transfer.before[0])
        out[:] = transfer.apply(usable, dtype=out.dtype)
    if valid is not None:
        np.copyto(out, band if band.dtype == out.dtype else out.dtype.type(0), where=~valid)


def _distribute(band: NDArray[Any], valid: NDArray[np.bool_] | None) -> Distribution:
    if is_small(band.dtype):
        return distribution_of_counts(count_values(band, valid), _range(band.dtype)[0])
    return distribution_of_values(band if valid is None else band[valid])


def _complete(image: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return which pixels are valid, or None where all are."""
    if valid is None and image.dtype.kind != "f":
        return None
    known = find_valid(image, None) if valid is None else valid
    if known.shape != image.shape[1:] or not known.any():
        raise SceneError(
            f"{known.sum()} valid pixels of shape {known.shape} were given for an image of "
            f"{image.shape[1:]}; give its own [row, col], with one at least"
        )
    return None if known.all() else known


def _codes(band: NDArray[Any]) -> NDArray[Any]:
    """View integers as unsigned ones `[n]`: negative values wrap round to the end."""
    return np.ascontiguousarray(band).ravel().view(f"u{band.dtype.itemsize}")


def _range(dtype: np.dtype[Any]) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max) - int(limits.min) + 1
