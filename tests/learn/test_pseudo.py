import numpy as np
import pytest

from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import make_places, no_places
from landvisor.geo.scene import scene_from_array
from landvisor.geo.tiling import Window
from landvisor.learn.pseudo import label_sure
from landvisor.learn.regions import Region, RegionCache
from landvisor.recipe import Recipe

LEGEND = legend_from_ids((3, 7, 9))


class Teller:
    """Says what the pixels of the first bands hold: probabilities in percent."""

    def predict(self, data, valid):
        return data.astype(np.float32) / 100

    def tensors(self):
        return {}


def label(told, folder, *, regions=None, known=None, valid=None, **values):
    pixels = np.asarray(told, dtype=np.uint8)
    if valid is not None:
        pixels[:, ~valid] = 255
    scene = scene_from_array(pixels, nodata=255)
    paths = {key.replace("__", "."): value for key, value in values.items()}
    return label_sure(
        Teller(),
        regions or [Region(0, Window(0, 0, *scene.shape))],
        cache=RegionCache([scene], folder),
        known=no_places() if known is None else known,
        legend=LEGEND,
        recipe=Recipe().with_values(paths),
    )


def tell(first, rows=8, cols=8):
    """First class at probabilities `first`, the second the rest, the third never."""
    told = np.zeros((3, rows, cols))
    told[0] = first
    told[1] = 100 - told[0]
    return told


def test_a_class_is_labelled_from_its_own_threshold_on(tmp_path):
    told = tell(np.repeat([95, 91, 80, 99, 40, 45, 30, 20], 8).reshape(8, 8))
    found = label(told, tmp_path)
    rows = {c: sorted(set(found.coords[found.label == c, 0])) for c in LEGEND.ids}
    # the mean of class 3 is 0.9125, above the limit of 0.9; that of class 7 is 0.6625
    assert rows == {3: [0, 1, 3], 7: [6, 7], 9: []}
    fixed = label(told, tmp_path, teacher__adaptive=False)
    assert set(fixed.label) == {3}


def test_probabilities_are_weights_below_one(tmp_path):
    told = tell(np.repeat([100, 92], 32).reshape(8, 8))
    found = label(told, tmp_path)
    weight = found.weight[np.argsort(found.coords[:, 0], kind="stable")]
    assert weight[0] == pytest.approx(254 / 255)
    assert weight[-1] == pytest.approx(0.92, abs=1 / 255)
    assert (found.weight < 1).all()
    assert (found.source == 5).all()


def test_no_more_than_the_limit_of_a_class_evenly_spaced(tmp_path):
    told = tell(np.where(np.arange(20)[:, None] < 15, 95, 5) * np.ones((20, 20)), 20, 20)
    found = label(told, tmp_path, labels__max_grown=10)
    assert [(found.label == c).sum() for c in (3, 7)] == [10, 10]
    rows = found.coords[found.label == 3, 0]
    assert (rows.min(), rows.max()) == (0, 14)


def test_people_are_never_overruled(tmp_path):
    known = make_places(np.array([[3.2, 3.9], [0.0, 7.0]]), np.array([7, 3]))
    found = label(tell(95.0), tmp_path, known=known)
    pixels = known.pixels()
    distance = np.abs(found.coords[:, None] - pixels[None]).max(axis=2)
    assert distance.min() == 2
    assert len(found) == 64 - 9 - 4


def test_regions_count_from_their_first_pixel_and_overlap_once(tmp_path):
    told = tell(np.full((8, 8), 95))
    told[:, 6, 6] = (10, 90, 0)
    regions = [Region(0, Window(2, 1, 5, 5)), Region(0, Window(3, 3, 5, 5))]
    found = label(told, tmp_path, regions=regions)
    pixels = {tuple(p) for p in found.pixels()}
    assert len(pixels) == len(found) == 25 + 25 - 4 * 3
    assert (2, 1) in pixels
    assert (7, 7) in pixels
    assert found.label[(found.pixels() == (6, 6)).all(axis=1)] == [7]


def test_pixels_without_data_are_not_labelled(tmp_path):
    valid = np.ones((8, 8), dtype=bool)
    valid[:4] = False
    found = label(tell(95.0), tmp_path, valid=valid)
    assert found.coords[:, 0].min() == 4
