"""A collection of small images, and a study of it whose runs take a fraction of a second."""

import copy
from pathlib import Path

import numpy as np
import pytest

from landvisor.geo.collection import Collection, Item, write_collection
from landvisor.geo.handles import open_quietly
from landvisor.geo.legend import LandClass, Legend, write_legend
from landvisor.study.read import parse_study
from landvisor.study.run import How, run_study

LEGEND = Legend((
    LandClass(0, "sky", "#000000", ignore=True),
    LandClass(1, "soil", "#b5835a"),
    LandClass(2, "rock", "#8d99ae"),
    LandClass(3, "sand", "#e9c46a"),
))  # fmt: skip
SPLITS = ["train"] * 6 + ["val"] * 3 + ["test"] * 6
SIZE = (24, 36)

CONTENT = {
    "name": "tiny",
    "purpose": "Show that a study runs.",
    "design": "full",
    "replicates": 2,
    "factors": {"points": {"n": [2, 12]}, "net": {"model": ["forest", "bank"]}},
    "data": {"collection": "collection.csv"},
    "points": {"strategy": "per_class"},
    "recipe": {
        "instant": {"trees": 12, "classifier": "trees"},
        "predict": {"window": 64, "overlap": 0, "tta": "none"},
    },
    "hypothesis": [
        {
            "name": "more points",
            "text": "Twelve points per class and image map better than two.",
            "metric": "mean_iou",
            "contrast": {"this": {"points.n": 12}, "than": {"points.n": 2}},
            "direction": "greater",
            "smallest": 0.02,
        }
    ],
    "analysis": {"metrics": ["mean_iou", "oa", "iou.rock"], "resamples": 300},
    "keep": {"examples": 1},
}


def draw_image(generator):
    """Draw an image `[band, row, col]` and its mask: patches of classes that overlap in colour."""
    coarse = generator.integers(0, 4, size=(4, 6))
    mask = np.kron(coarse, np.ones((6, 6), dtype=int)).astype(np.uint8)
    colours = np.array([[40, 60, 90], [120, 90, 60], [100, 110, 120], [150, 130, 90]])
    image = colours[mask] + generator.normal(0, 18, (*mask.shape, 3))
    return np.clip(np.moveaxis(image, -1, 0), 0, 255).astype(np.uint8), mask


def write_image(data, path):
    count, rows, cols = data.shape
    profile = {"driver": "PNG", "count": count, "height": rows, "width": cols, "dtype": "uint8"}
    with open_quietly(path, "w", **profile) as target:
        target.write(data)


@pytest.fixture(scope="session")
def collection(tmp_path_factory) -> Path:
    """The folder of a collection of 15 images of 24 x 36 pixels in groups of three."""
    folder = tmp_path_factory.mktemp("tiny")
    items = []
    for number, split in enumerate(SPLITS):
        image, mask = draw_image(np.random.default_rng(number))
        paths = folder / f"im{number:02d}.png", folder / f"mask{number:02d}.png"
        write_image(image, paths[0])
        write_image(mask[None], paths[1])
        items.append(Item(paths[0].stem, *paths, split, f"group {number // 3}"))
    write_legend(LEGEND, folder / "legend.toml")
    write_collection(Collection(tuple(items), LEGEND), folder / "collection.csv")
    return folder


@pytest.fixture
def content(collection):
    """The study as nested tables, to be changed at will."""
    return copy.deepcopy(CONTENT)


@pytest.fixture
def make_study(collection):
    """Check nested tables, and return the study of the collection that they describe."""

    def make(content, **changes):
        return parse_study({**content, **changes}, folder=collection)

    return make


@pytest.fixture(scope="session")
def whole_study(collection):
    """The study as it stands, eight runs."""
    return parse_study(CONTENT, folder=collection)


@pytest.fixture(scope="session")
def finished(whole_study, tmp_path_factory):
    """The folder of a study that ran without interruption; what changes it puts it back."""
    out = tmp_path_factory.mktemp("finished") / "out"
    said = []
    states = run_study(whole_study, out=out, how=How(tell=said.append))
    assert states == {"done": 8}
    assert len(said) == 8
    return out
