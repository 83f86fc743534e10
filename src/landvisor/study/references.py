"""What predictions are held against: masks, the pixels of points, or what linking labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.assess import find_borders
from landvisor.geo.collection import Collection, Item
from landvisor.geo.legend import UNLABELLED, Legend
from landvisor.label_specs import LinkSpec
from landvisor.labels.extend import Making
from landvisor.labels.make import make_labels
from landvisor.labels.pixels import LabelledPixels
from landvisor.options import Options
from landvisor.study.images import Images
from landvisor.study.labels import draw_points
from landvisor.study.spec import ScoringSpec

Labels = NDArray[np.int64]


def open_legend(legend: Legend) -> Legend:
    """Return a legend that ignores nothing: ignored classes are counted, then left out."""
    return Legend(tuple(replace(c, ignore=False) for c in legend.classes))


class Reference:
    """The labels of the images of a split, as one scoring sees them.

    Args:
        scoring: What counts as labelled.
        images: Of the arm.
        split: The data's word for it.
    """

    def __init__(self, scoring: ScoringSpec, images: Images, split: str) -> None:
        self.scoring = scoring
        self.images = images
        self.split = split
        self._made: dict[str, LabelledPixels] = {}
        if scoring.reference != "masks":
            self._made = _make(scoring, images, split)

    def read(self, item: Item) -> Labels:
        """Return class ids `[row, col]`, ignored classes included; -1 is unlabelled."""
        scene = item.open(self.images.reading_used)
        if self.scoring.reference != "masks":
            pixels = self._made[item.name]
            found = np.full(scene.shape[0] * scene.shape[1], UNLABELLED, dtype=np.int64)
            found[pixels.position] = pixels.label
            return found.reshape(scene.shape)
        values = item.read_mask(scene)
        labels = open_legend(self.images.legend).resolve(values)
        if self.scoring.border:
            borders = find_borders(self.images.legend.resolve(values), self.scoring.border)
            labels = np.where(borders, UNLABELLED, labels)
        return labels


def _make(scoring: ScoringSpec, images: Images, split: str) -> dict[str, LabelledPixels]:
    """Draw points on the masks of a split from seed 0, and link them."""
    everything = replace(images, left_out=())
    points = draw_points(everything, [split], points=scoring.points, legend=images.legend, seed=0)
    link = scoring.link if scoring.reference == "linked" else LinkSpec()
    items: Sequence[Item] = [item for item in images.used.items if item.split == split]
    made = make_labels(
        Collection(tuple(items), images.legend),
        points,
        making=Making(link=link, holdout=0.0),
        options=Options(reading=images.reading_used, split=split),
    )
    return {item.name: pixels for item, pixels in zip(items, made.pixels, strict=True)}
