"""Labels grow within their limits, over like pixels alone, whatever the order and the blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landvisor.errors import ModelError, RecipeError, SceneError
from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.scene import scene_from_array
from landvisor.labels.grow import METHODS, grow_places
from landvisor.labels.growth import Grown
from landvisor.labels.pixels import SURE
from landvisor.recipe import GrowSpec

SHAPE = (12, 14)
LOOKING = [name for name in METHODS if name != "disc"]  # which looks at no imagery


def grow(image, points, label, *, nodata=None, weight=1.0, **spec):
    options = {name: spec.pop(name) for name in ("method_", "features_", "block") if name in spec}
    places = make_places(np.array(points, dtype=float).reshape(-1, 2), np.array(label, dtype=int))
    places.weight[:] = weight
    return grow_places(
        places,
        scene=scene_from_array(image, nodata=nodata),
        spec=GrowSpec(**{"method": "region", "compactness": 0.5} | spec),
        scale=np.full(1 if image.ndim == 2 else len(image), 10.0),
        method=options.get("method_"),
        features=options.get("features_"),
        **({"block": options["block"]} if "block" in options else {}),
    )


def painted(pixels):
    out = np.full(pixels.shape, -1)
    out.ravel()[pixels.position] = pixels.label
    return out


@pytest.fixture(scope="module")
def parcels():
    """Sixteen parcels of four classes, without noise, and three points in each."""
    generator = np.random.default_rng(0)
    classes = np.array([[0, 1, 2, 3], [2, 3, 0, 1], [1, 0, 3, 2], [3, 2, 1, 0]])
    mask = np.kron(classes, np.ones((20, 20), dtype=int))
    colours = np.array([[0, 0, 90], [40, 0, 30], [90, 50, 0], [0, 90, 60]])
    image = colours[mask].transpose(2, 0, 1).astype(np.uint8)
    corners = np.stack(np.meshgrid(range(4), range(4)), -1).reshape(-1, 1, 2) * 20
    points = (corners + generator.integers(1, 19, (16, 3, 2))).reshape(-1, 2)
    return image, mask, points, mask[tuple(points.T)]


@pytest.mark.parametrize("method", LOOKING)
def test_growth_over_parcels_without_noise_is_pure(parcels, method):
    image, mask, points, label = parcels
    grown = grow(image, points, label, method=method)
    assert len(grown) > 10 * len(points)
    assert (grown.label == mask.ravel()[grown.position]).all()


@pytest.mark.parametrize("method", ["region", "walker"])
def test_a_flat_region_is_filled_to_its_edge_and_not_past_it(method):
    image = np.zeros((3, 30, 30), dtype=np.uint16)
    image[:, :, 10:] = 500
    found = painted(grow(image, [[15, 6], [15, 24]], [4, 2], method=method, radius=8))
    assert (found[15, 0:10] == [4] * 6 + [-1] + [4] * 3).all()
    assert (found[:, :10] != 2).all()
    assert (found[:, 10:] != 4).all()


images = arrays(np.uint8, (2, *SHAPE), elements=st.integers(0, 5))
points = st.lists(
    st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1), st.integers(0, 3)),
    min_size=1,
    max_size=8,
)
specs = st.fixed_dictionaries({
    "method": st.sampled_from(sorted(METHODS)),
    "radius": st.floats(0.5, 6),
    "max_pixels": st.integers(1, 30),
    "segment": st.integers(4, 30),
    "beta": st.sampled_from([0.1, 10.0]),
    "weight": st.floats(0.1, 1),
})  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(image=images, points=points, spec=specs)
def test_every_limit_holds(image, points, spec):
    points, label = np.array(points)[:, :2], np.array(points)[:, 2]
    image[:, 0, :3] = 0
    grown = grow(image, points, label, nodata=0, **spec)
    valid = (image != 0).any(axis=0)
    assert valid.ravel()[grown.position].all()
    assert not np.isin(grown.position, points @ [SHAPE[1], 1]).any()
    assert (grown.label == label[grown.place]).all()
    away = np.linalg.norm(grown.coords() - points[grown.place], axis=1)
    assert (away <= spec["radius"]).all()
    assert np.bincount(grown.place, minlength=1).max() <= spec["max_pixels"]
    assert set(grown.source.tolist()) <= {SOURCES["grown"]}
    assert (grown.weight <= np.rint(spec["weight"] * SURE)).all()
    assert (np.diff(grown.position) > 0).all()


@settings(deadline=None, max_examples=40)
@given(image=images, points=points, spec=specs, seed=st.integers(0, 99))
def test_the_order_of_places_changes_nothing(image, points, spec, seed):
    points, label = np.array(points)[:, :2], np.array(points)[:, 2]
    order = np.random.default_rng(seed).permutation(len(label))
    one = grow(image, points, label, **spec)
    two = grow(image, points[order], label[order], **spec)
    for name in ("position", "label", "weight"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    assert points[one.place].tolist() == points[order][two.place].tolist()


@settings(deadline=None, max_examples=40)
@given(image=images, points=points, radius=st.floats(0.5, 4), block=st.integers(3, 9),
       features=st.sampled_from(["raw", "bank"]))  # fmt: skip
def test_regions_do_not_depend_on_blocks(image, points, radius, block, features):
    points, label = np.array(points)[:, :2], np.array(points)[:, 2]
    spec = {"radius": radius, "features": features, "tolerance": 0.151, "max_pixels": 9}
    one = grow(image, points, label, **spec)
    many = grow(image, points, label, block=block, **spec)
    assert one.position.tolist() == many.position.tolist()
    assert one.label.tolist() == many.label.tolist()


@pytest.mark.parametrize(("method", "least"), [("walker", 0.999), ("superpixel", 0.8)])
def test_other_methods_hardly_depend_on_blocks(parcels, method, least):
    image, mask, points, label = parcels
    one, many = (grow(image, points, label, method=method, block=b) for b in (80, 23))
    same = painted(one) == painted(many)
    assert same.mean() >= least
    assert (many.label == mask.ravel()[many.position]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_pixel_with_two_classes_grows_neither(method):
    image = np.zeros((2, 20, 20), dtype=np.int16)
    assert len(grow(image, [[9, 9], [9.2, 9]], [1, 2], method=method)) == 0
    assert len(grow(image, [[9, 9], [9.2, 9]], [1, 1], method=method)) > 0


@pytest.mark.parametrize("method", METHODS)
def test_the_weight_is_that_of_place_option_and_method_together(method):
    image = np.zeros((2, 20, 20), dtype=np.int16)
    full = grow(image, [[9, 9]], [1], method=method)
    less = grow(image, [[9, 9]], [1], method=method, weight=0.5, radius=12.0)
    assert less.weight.tolist() == pytest.approx((full.weight * 0.5).tolist(), abs=1)


def test_the_option_weight_scales_confidence():
    found = grow_places(
        make_places(np.array([[3.0, 3.0]]), np.array([1])),
        scene=scene_from_array(np.zeros((8, 8))),
        spec=GrowSpec(method="region", weight=0.25),
        scale=np.ones(1),
    )
    assert set(found.weight.tolist()) == {64}


@pytest.mark.parametrize("method", LOOKING)
def test_nothing_grows_over_no_data_or_from_it(method):
    image = np.full((2, 30, 30), 5.0, dtype=np.float32)
    image[0, 10:12] = np.nan
    image[1, 20] = np.inf
    found = painted(grow(image, [[5, 5], [11, 5], [-3, 2], [99, 99]], [1, 2, 3, 3], method=method))
    assert (found[:10] == 1).any()
    assert (found[10:] == -1).all()
    assert len(grow(image * np.nan, [[5, 5]], [1], method=method)) == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_any_type_one_band_one_point_and_constant_values_work(method, dtype):
    assert len(grow(np.full((9, 9), 7, dtype=dtype), [[4, 4]], [1], method=method)) > 0
    assert len(grow(np.full((1, 1), 7, dtype=dtype), [[0, 0]], [1], method=method)) == 0
    assert len(grow(np.full((9, 9), 7, dtype=dtype), [], [], method=method)) == 0


@pytest.mark.parametrize("method", LOOKING)
def test_fill_values_that_nobody_declared_do_no_harm(method):
    image = np.zeros((1, 20, 20))
    image[0, :5] = -1.7e308
    found = painted(grow(image, [[12, 9], [1, 9]], [1, 2], method=method))
    assert (found[5:] != 2).all()
    assert (found[5:] == 1).any()


@pytest.mark.parametrize("method", METHODS)
def test_an_image_full_of_points_works(method):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 99, (3, 256, 256)).astype(np.uint8)
    every = np.argwhere(np.ones((256, 256), dtype=bool))
    assert len(every) == 65536
    assert len(grow(image, every, every.sum(axis=1) % 6, method=method)) == 0


def test_only_the_nearest_pixels_of_a_place_count():
    found = grow(np.zeros((1, 30, 30)), [[15, 15]], [1], max_pixels=8)
    assert np.abs(found.coords() - 15).max() == 1


def test_no_method_grows_nothing():
    assert len(grow(np.zeros((1, 9, 9)), [[4, 4]], [1], method="none")) == 0


def test_regions_grow_over_features_of_the_caller():
    features = np.zeros((4, 20, 20), dtype=np.float64)
    features[1:, :, 12:] = 3
    features[0, 2, 2] = np.nan
    found = painted(grow(np.zeros((1, 20, 20)), [[5, 5]], [1], features_=features, radius=30))
    expected = np.zeros((20, 20), dtype=bool)
    expected[:, :12] = True
    expected[2, 2] = expected[5, 5] = False
    assert ((found == 1) == expected).all()


def test_features_off_the_grid_are_refused():
    with pytest.raises(SceneError, match=r"\(3, 9, 8\).*need \[feature, row, col\] with \(9, 9\)"):
        grow(np.zeros((1, 9, 9)), [[4, 4]], [1], features_=np.zeros((3, 9, 8)))


def test_features_are_refused_by_a_method_that_compares_none():
    with pytest.raises(RecipeError, match="method 'walker' compares the bands alone"):
        grow(np.zeros((1, 9, 9)), [[4, 4]], [1], method="walker", features_=np.zeros((3, 9, 9)))


def test_a_method_may_be_any_function():
    def everywhere(block, spec):
        return Grown(np.zeros(block.valid.shape, dtype=int), np.full(block.valid.shape, 0.5))

    found = grow(np.zeros((1, 9, 9)), [[4, 4]], [3], method_=everywhere, radius=2)
    assert len(found) == 12
    assert set(found.weight.tolist()) == {128}


FIRST = np.zeros((9, 9), dtype=int)


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, r"NoneType of shapes \[\(0,\), \(0,\)\]; need a Grown of two arrays of \(9, 9\)"),
        (Grown(FIRST[:2], np.zeros((2, 9))), r"Grown of shapes \[\(2, 9\), .*; need a Grown"),
        (Grown(FIRST + 5, np.ones((9, 9))), r"points 5 to 5 of type int64; need integers from -1"),
        (Grown(FIRST - 2, np.ones((9, 9))), r"points -2 to -2 .*; need integers from -1"),
        (Grown(np.zeros((9, 9)), np.ones((9, 9))), r"of type float64; need integers from -1"),
        (Grown(FIRST, np.full((9, 9), np.nan)), r"confidences nan to nan; need shares above 0"),
        (Grown(FIRST, np.full((9, 9), 1.5)), r"confidences 1\.5 to 1\.5; need shares above 0"),
        (
            Grown(FIRST, np.arange(81).reshape(9, 9) / -81),
            r"confidences -0\.98.* to -0; need shares",
        ),
        (Grown(FIRST, np.full((9, 9), "sure")), r"confidences of type <U4; need shares above 0"),
    ],
)
def test_a_method_that_returns_something_else_is_refused(returned, said):
    with pytest.raises(ModelError, match=said) as caught:
        grow(np.zeros((1, 9, 9)), [[4, 4]], [3], method_=lambda block, spec: returned)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_a_radius_beyond_the_scene_is_no_limit(method):
    image = np.zeros((1, 20, 30), dtype=np.uint8)
    far, all_of_it = (
        grow(image, [[2, 3]], [1], method=method, radius=radius, max_pixels=10**6, tolerance=1)
        for radius in (1e300, 50)
    )
    assert np.array_equal(far.position, all_of_it.position)
