"""Growing over segments: SLIC cuts the image, and a segment takes the class of its points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landvisor.labels.growth import NOBODY, Block, Grown, find_nearest
from landvisor.recipe import GrowSpec

_NO_DATA_APART = 10.0


def grow_superpixels(block: Block, spec: GrowSpec) -> Grown:
    """Give each segment the class that all its points agree on.

    A segment with points of two classes stays unlabelled. The confidence of one with n points is
    (n + 1) / (n + 2): the chance that one more point would agree.

    Args:
        block: Segments depend on where it begins and ends.
        spec: `segment` and `compactness`.

    References:
        Achanta et al. (2012), SLIC superpixels, algorithm 1, doi:10.1109/TPAMI.2012.120; no-data
        is held apart by a band of its own, since masked SLIC takes time quadratic in the segments.
        Laplace (1774), Mémoire sur la probabilité des causes, problem 1: the rule of succession.
    """
    segments = cut_segments(
        block.image, block.valid, size=spec.segment, compactness=spec.compactness
    )
    held = segments[tuple(block.points.T)]
    count = np.bincount(held, minlength=segments.max() + 1)
    agreed = _agree(held, block.label, len(count))
    rows, cols = np.nonzero(agreed[segments])
    here = segments[rows, cols]
    point = np.full(segments.shape, NOBODY, dtype=np.int64)
    point[rows, cols] = find_nearest(block, np.column_stack([rows, cols]), group=held, of=here)
    return Grown(point, ((count + 1) / (count + 2)).astype(np.float32)[segments])


def cut_segments(
    image: NDArray[np.float32], valid: NDArray[np.bool_], *, size: int, compactness: float
) -> NDArray[np.int64]:
    """Cut an image into connected segments of like pixels.

    Args:
        image: `[band, row, col]`, finite; 0 where not valid.
        valid: `[row, col]`.
        size: Pixels of a segment, about.
        compactness: Difference of colour, in units of the image, that counts as much as the
            distance between neighbouring segments.

    Returns:
        Numbers `[row, col]` from 1; 0 where not valid.
    """
    from skimage.measure import label  # slow to import, both
    from skimage.segmentation import slic

    spread = float(np.ptp(image)) or 1.0
    apart = np.where(valid, 0, _NO_DATA_APART * spread).astype(np.float32)[None]
    stack = image if valid.all() else np.concatenate([image, apart])
    segments = slic(
        stack,
        n_segments=max(valid.size // size, 1),
        compactness=compactness / (float(np.ptp(stack)) or 1.0),  # slic stretches values to 0..1
        channel_axis=0,
        convert2lab=False,
        start_label=0,
    )
    # Narrow no-data may hang on to a segment, and hold its parts together.
    parts = label(np.where(valid, segments + 1, 0), connectivity=1)
    return np.asarray(parts, dtype=np.int64)


def _agree(held: NDArray[np.int64], label: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Tell for each segment whether it has points and all of them one class."""
    least = np.full(count, np.iinfo(np.int64).max)
    most = np.full(count, -1)
    np.minimum.at(least, held, label)
    np.maximum.at(most, held, label)
    return np.asarray(least == most)
