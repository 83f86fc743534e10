"""A sieve by strips equals GDAL's of the whole raster, and a majority is what counting says."""

import numpy as np
import pytest
import rasterio
import rasterio.features
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate

from landvisor.errors import OutputError, RecipeError, SceneError
from landvisor.geo import class_map
from landvisor.geo.class_map import NODATA, ClassMap
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.scene import scene_from_array
from landvisor.geo.sieve import Sieving, majority, sieve
from landvisor.geo.styles import LEGEND_TAG, legend_tag, read_map_legend

LEGEND = Legend(tuple(LandClass(i, f"class {i}", f"#0000{i:02x}") for i in (1, 2, 3, 200)))
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14))
CODES = st.sampled_from([1, 2, 3, 200, 0])
RASTERS = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=CODES))


def sieve_array(codes, least, *, eight=False, rows=512):
    """Sieve an array in which 0 is no data; the strips must cover each row once."""
    source = ClassMap(scene_from_array(codes, nodata=0), LEGEND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_map, "STRIP_ROWS", rows)
        parts = list(Sieving(source, None, least, eight).strips())
    assert sum(window.rows for window, _, _ in parts) == len(codes)
    after = np.concatenate([part for _, _, part in parts])
    return np.where(after == NODATA, 0, after)


@settings(max_examples=150)
@given(RASTERS, st.integers(2, 9), st.booleans(), st.integers(1, 14))
def test_a_sieve_is_that_of_gdal_on_the_whole(codes, least, eight, rows):
    assume(least < codes.size and (codes != 0).any())
    expected = rasterio.features.sieve(
        codes, least, mask=codes != 0, connectivity=8 if eight else 4
    )
    assert (sieve_array(codes, least, eight=eight, rows=rows) == expected).all()


@given(RASTERS, st.integers(2, 200), st.booleans(), st.integers(1, 14))
def test_a_sieve_does_not_depend_on_the_strips(codes, least, eight, rows):
    whole = sieve_array(codes, least, eight=eight)
    assert (sieve_array(codes, least, eight=eight, rows=rows) == whole).all()


def test_a_large_noisy_raster_is_sieved_as_gdal_does():
    codes = np.random.default_rng(0).choice(np.array([0, 1, 2, 3], np.uint8), (500, 700))
    expected = rasterio.features.sieve(codes, 12, mask=codes != 0)
    assert (sieve_array(codes, 12, rows=64) == expected).all()


def test_a_small_patch_follows_a_small_neighbour_to_a_large_one():
    codes = np.array([[1, 2, 2, 3, 3, 3, 3]], np.uint8)
    assert sieve_array(codes, 4).tolist() == [[3] * 7]


def test_a_patch_that_no_large_one_can_be_reached_from_stays():
    codes = np.array([[1, 0, 2, 2, 3, 3], [0, 0, 0, 0, 0, 0]], np.uint8)
    assert (sieve_array(codes, 4) == codes).all()


def test_corners_join_patches_only_if_asked():
    codes = np.array([[1, 2, 2, 2], [2, 1, 2, 2], [2, 2, 1, 2]], np.uint8)
    assert (sieve_array(codes, 3) == 2).all()
    assert (sieve_array(codes, 3, eight=True) == codes).all()


def count_votes(codes, size):
    half, out = size // 2, codes.copy()
    for row, col in zip(*np.nonzero(codes), strict=True):
        around = codes[max(0, row - half) : row + half + 1, max(0, col - half) : col + half + 1]
        votes = np.bincount(around[around != 0], minlength=256)
        out[row, col] = votes.argmax() if votes[codes[row, col]] < votes.max() else codes[row, col]
    return out


@pytest.fixture
def make_map(make_tif):
    def make(codes, name="map.tif", **options):
        def tag(raster):
            raster.update_tags(**{LEGEND_TAG: legend_tag(LEGEND)})

        return make_tif(name, np.asarray(codes, np.uint8), nodata=0, change=tag, **options)

    return make


def noise(shape=(60, 50), seed=0):
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 200], np.uint8), shape)


def read(path):
    with rasterio.open(path) as raster:
        return raster.read(1)


@pytest.mark.parametrize("size", [3, 5, 31])
@pytest.mark.parametrize("rows", [1, 4, 512])
@pytest.mark.parametrize("shape", [(20, 17), (1, 9), (9, 1)])
def test_a_majority_is_what_counting_says(make_map, tmp_path, monkeypatch, size, rows, shape):
    monkeypatch.setattr(class_map, "STRIP_ROWS", rows)
    codes = noise(shape)
    made = majority(make_map(codes), tmp_path / "smooth.tif", size=size)
    assert (read(made.path) == count_votes(codes, size)).all()
    assert made.pixels == (codes != 0).sum()
    assert made.changed == (read(made.path) != codes).sum()


def test_a_sieved_map_is_dressed_like_the_map(tmp_path, write_prediction):
    grid = GeoBox((60, 50), rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32633")
    folder, codes = tmp_path / "bundle", noise()
    folder.mkdir()
    shares = np.stack([codes == i for i in LEGEND.ids]).astype(np.float32)
    write_prediction(folder, grid, legend=LEGEND, probabilities=shares, valid=codes != 0)
    before = (folder / "probabilities.tif").read_bytes()
    made = sieve(folder, tmp_path / "sieved.tif", min_pixels=5)
    expected = rasterio.features.sieve(codes, 5, mask=codes != 0)
    assert (read(made.path) == expected).all()
    assert (made.pixels, made.changed) == ((codes != 0).sum(), (expected != codes).sum())
    with rasterio.open(folder / "map.tif") as old, rasterio.open(made.path) as new:
        assert new.profile == old.profile
        assert new.tags() == old.tags()
        assert new.colormap(1) == old.colormap(1)
        assert new.descriptions == old.descriptions
    assert cog_validate(made.path)[0]
    assert read_map_legend(made.path) == LEGEND
    for ours, theirs in (("sieved.qml", "map.qml"), ("sieved.tif.aux.xml", "map.tif.aux.xml")):
        assert (tmp_path / ours).read_bytes() == (folder / theirs).read_bytes()
    assert (folder / "probabilities.tif").read_bytes() == before


def test_a_map_with_class_zero_keeps_it(make_tif, tmp_path):
    legend = Legend((LandClass(0, "sand", "#ffee00"), LandClass(1, "sea", "#0000ff")))
    codes = np.array([[0, 0, 0, 1, 255]], np.uint8)
    path = make_tif(
        "map.tif", codes, nodata=255,
        change=lambda raster: raster.update_tags(**{LEGEND_TAG: legend_tag(legend)}),
    )  # fmt: skip
    assert read(sieve(path, tmp_path / "out.tif", min_pixels=2).path).tolist() == [
        [0, 0, 0, 0, 255]
    ]


def test_square_metres_are_those_on_the_ground(make_map, tmp_path):
    # 60 degrees north, a pixel of Web Mercator is four times as large on the map as on the ground
    place = rasterio.Affine(10, 0, 0, 0, -10, 8399738)
    codes = np.ones((4, 8))
    codes[1, 1:5] = 2  # 4 pixels: 400 m2 on the map, 100 on the ground
    path = make_map(codes, crs="EPSG:3857", transform=place)
    assert (read(sieve(path, tmp_path / "kept.tif", min_area=95).path) == codes).all()
    assert (read(sieve(path, tmp_path / "gone.tif", min_area=105).path) == 1).all()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, RecipeError, "just one"),
        ({"min_pixels": 2, "min_area": 2.0}, RecipeError, "just one"),
        ({"min_pixels": 2, "connect": 6}, RecipeError, "4 or 8"),
    ],
)
def test_contradictions_are_refused(make_map, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        sieve(make_map(noise()), tmp_path / "out.tif", **options)


def test_an_even_window_is_refused(make_map, tmp_path):
    with pytest.raises(RecipeError, match="odd"):
        majority(make_map(noise()), tmp_path / "out.tif", size=4)


def test_square_metres_need_a_crs(make_map, tmp_path):
    path = make_map(noise(), crs=None, transform=rasterio.Affine.identity())
    with pytest.raises(SceneError, match="min-pixels"):
        sieve(path, tmp_path / "out.tif", min_area=5.0)
    assert read(sieve(path, tmp_path / "out.tif", min_pixels=5).path).any()


def test_no_file_is_replaced_unasked_nor_the_map_itself(make_map, tmp_path):
    path = make_map(noise())
    (tmp_path / "out.qml").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.qml.*overwrite"):
        sieve(path, tmp_path / "out.tif", min_pixels=5)
    with pytest.raises(OutputError, match="would be lost"):
        sieve(path, path, min_pixels=5, overwrite=True)
    with pytest.raises(OutputError, match=r"end it in \.tif"):
        sieve(path, tmp_path / "out.gpkg", min_pixels=5)
    assert sieve(path, tmp_path / "out.tif", min_pixels=5, overwrite=True).changed


def test_a_value_without_a_class_is_named_and_nothing_written(make_map, tmp_path):
    path = make_map([[1, 2, 99]])
    with pytest.raises(SceneError, match="value 99"):
        sieve(path, tmp_path / "out.tif", min_pixels=2)
    assert [file.name for file in tmp_path.iterdir()] == ["map.tif"]


def test_ignored_classes_are_no_data_and_merged_ones_are_joined(make_tif, tmp_path):
    legend = Legend((
        LandClass(1, "sea", "#0000ff"), LandClass(2, "cloud", "#ffffff", ignore=True),
        LandClass(3, "bay", "#0000aa", merged_into=1),
    ))  # fmt: skip
    path = make_tif("map.tif", np.array([[1, 2, 3]], np.uint16))
    assert read(sieve(path, tmp_path / "out.tif", min_pixels=2, legend=legend).path).tolist() == [
        [1, 0, 1]
    ]
