"""How much each scene counts where several show the same place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import CollectionError
from landvisor.geo.collection import Item
from landvisor.geo.regrid import Regrid
from landvisor.geo.tiling import Window

_LEAST = 1 / 256  # of a pixel: what lies on the border itself counts too


def feather_weights(
    scene: GeoBox, grid: GeoBox, window: Window, *, width: float
) -> NDArray[np.float32]:
    """Weigh a scene's pixels by how far inside its footprint they are.

    The footprint is the rectangle of the scene's own grid, so that nothing needs to be read; what
    is no data inside it does not count.

    Args:
        scene: The scene's own grid.
        grid: The grid of the mosaic.
        window: Part of `grid`.
        width: Pixels of the scene from its border to where the weight is 1; above 0.

    Returns:
        `[row, col]`: above 0 to 1 inside, growing linearly from the border; 0 outside.
    """
    assert width > 0, "a feather has a width"
    limits = np.array(scene.shape)[:, None, None]
    from_first = Regrid(scene, grid).locate(window) + 0.5
    depth = np.minimum(from_first, limits - from_first).min(axis=0)
    inside = ((from_first >= 0) & (from_first < limits)).all(axis=0)
    return np.where(inside, np.clip(depth, _LEAST, width) / width, 0).astype(np.float32)


def share_weights(weights: NDArray[np.floating], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Turn the weights of scenes into shares that sum to one wherever any scene is valid.

    Args:
        weights: `[scene, row, col]`, above 0 where `valid`.
        valid: `[scene, row, col]`.

    Returns:
        `[scene, row, col]`: 0 where not valid.
    """
    known = np.where(valid, weights, 0).astype(np.float64)
    # Added one by one: the order that NumPy sums in depends on the array's shape.
    total = np.asarray(sum(known))
    return np.asarray(known / np.where(total > 0, total, 1), dtype=np.float32)


def first_weights(valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give each pixel wholly to the first scene that is valid there.

    Args:
        valid: `[scene, row, col]`, in the order of `order_scenes`.
    """
    chosen = np.zeros(valid.shape, dtype=np.float32)
    chosen[0] = valid[0]
    chosen[1:] = valid[1:] & ~np.logical_or.accumulate(valid, axis=0)[:-1]
    return chosen


def order_scenes(items: Sequence[Item], *, by: str = "first") -> list[int]:
    """Order scenes for a mosaic of the best pixels.

    Args:
        items: The scenes of a collection.
        by: `first` is their own order, `cloud` the least `cloud_cover` first, `date` the latest
            first; equals stay in their order.

    Returns:
        Positions in `items`, the best first.

    Raises:
        CollectionError: If there is no such order, or a scene lacks what it needs.
    """
    if by not in _ORDERS:
        raise CollectionError(f"order {by!r} was asked for; need one of {', '.join(_ORDERS)}")
    ranks = [_ORDERS[by](item) for item in items]
    return sorted(range(len(items)), key=ranks.__getitem__)


def _rank_cloud(item: Item) -> float:
    if item.cloud_cover is None:
        raise CollectionError(
            f"scene {item.name!r} does not say its cloud cover; give STAC items with "
            "eo:cloud_cover, or order by first or date"
        )
    return item.cloud_cover


def _rank_date(item: Item) -> float:
    try:
        taken = datetime.fromisoformat(item.date or "")
    except ValueError as error:
        raise CollectionError(
            f"scene {item.name!r} does not say when it was taken ({item.date!r}); give STAC items "
            "with datetime, or order by first or cloud"
        ) from error
    # A time without a zone is UTC, as STAC has it.
    return -(taken if taken.tzinfo else taken.replace(tzinfo=UTC)).timestamp()


_ORDERS: dict[str, Callable[[Item], Any]] = {
    "first": lambda _: 0,
    "cloud": _rank_cloud,
    "date": _rank_date,
}
