"""How much disk a prediction may take: told before it begins."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from landvisor.geo.coding import count_extra

log = logging.getLogger(__name__)


def most_bytes(
    pixels: Sequence[int], *, missing: int, classes: int, disagreement: bool = False
) -> int:
    """Return how many bytes blocks and files may take at most, if nothing could be compressed.

    Blocks and finished rasters hold `3 + classes` bytes a pixel, one more of several models, and
    rasters a third more for their overviews. Of one raster at a time there is a copy without
    compression and, while they are made, its overviews; that of the probabilities is the largest.

    Args:
        pixels: Of each map.
        missing: Pixels of blocks that are still to be predicted.
        classes: Active classes of the legend.
        disagreement: How much models disagree is written too.
    """
    extra = count_extra(disagreement=disagreement)
    planes, copied = extra + classes, max(classes, extra - 1)
    finished, growing = sum(pixels) * planes, max(pixels) * copied
    return missing * planes + -(-(finished + growing) * 4 // 3)


def tell_room(folder: Path, need: int) -> None:
    """Say what may be needed of the disk of a folder: a warning where it lacks that.

    Args:
        folder: Where blocks and files are made; it exists.
        need: See `most_bytes`.
    """
    free = shutil.disk_usage(folder).free
    where = str(folder.resolve().parent)
    if need <= free:
        log.info("disk: at most %s for blocks and maps, %s are free", _say(need), _say(free))
        return
    log.warning(
        "up to %s of disk may be needed in %r and %s are free: free some space or write to another "
        "disk with --out; should it run out, what is finished is kept",
        *(_say(need), where, _say(free)),
    )


def _say(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
