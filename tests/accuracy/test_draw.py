"""Places to label are drawn at random from the pixels of a map."""

import json

import geopandas
import numpy as np
import pytest
import rasterio

from landvisor.accuracy.draw import DrawSpec, draw_sample
from landvisor.accuracy.frame import open_frame, pick_pixels, take_census
from landvisor.accuracy.record import read_record
from landvisor.errors import AssessmentError, OutputError
from landvisor.geo.class_map import open_class_map

NAMES = {1: "grass", 2: "sand", 3: "water"}


def pixels_of(drawn):
    return drawn.points.frame[["row", "col"]].to_numpy().astype(int)


def test_every_place_is_a_pixel_of_its_stratum_and_none_is_drawn_twice(small_map):
    folder, classes = small_map
    drawn = draw_sample(folder, DrawSpec(n=200, seed=3))
    pixels = pixels_of(drawn)
    assert len(np.unique(pixels, axis=0)) == 200
    there = [NAMES[int(classes[tuple(pixel)])] for pixel in pixels]
    assert list(drawn.points.frame["stratum"]) == there
    assert list(drawn.record.units) == [there.count(name) for name in NAMES.values()]


def test_places_lie_at_the_centres_of_their_pixels(small_map):
    folder, _ = small_map
    drawn = draw_sample(folder, DrawSpec(n=20))
    with rasterio.open(folder / "map.tif") as raster:
        for (row, col), point in zip(pixels_of(drawn), drawn.points.frame.geometry, strict=True):
            assert raster.xy(row, col) == (point.x, point.y)


def test_the_chances_of_a_stratum_add_up_to_its_pixels(small_map):
    folder, classes = small_map
    frame = draw_sample(folder, DrawSpec(n=90, allocation="equal")).points.frame
    for label, name in NAMES.items():
        own = frame[frame["stratum"] == name]["inclusion_prob"]
        assert len(own) == 30
        assert (1 / own).sum() == pytest.approx((classes == label).sum())


def test_all_pixels_have_the_same_chance(small_map):
    """Of 11,100 mapped pixels each is drawn about 10 times in 100 samples of 1,110."""
    folder, classes = small_map
    frame = open_frame(open_class_map(folder), "simple")
    census = take_census(frame)
    times = np.zeros(classes.shape, dtype=int)
    generator = np.random.default_rng(0)
    for _ in range(100):
        ranks = np.sort(generator.choice(11_100, 1110, replace=False, shuffle=False))
        pixels, _ = pick_pixels(frame, census, {0: ranks})
        assert len(pixels) == 1110
        np.add.at(times, tuple(pixels.T), 1)
    assert np.all(times[classes == 0] == 0)
    drawn = times[classes > 0]
    assert drawn.mean() == pytest.approx(10)
    assert drawn.var() == pytest.approx(100 * 0.1 * 0.9, rel=0.05)
    assert drawn.max() < 27  # Bonferroni over 11,100 pixels


def test_the_seed_alone_decides(small_map):
    folder, _ = small_map
    first, again, other = (
        pixels_of(draw_sample(folder, DrawSpec(n=50, seed=seed))) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_whole_map_can_be_drawn(small_map):
    folder, classes = small_map
    drawn = draw_sample(folder, DrawSpec(n=int((classes > 0).sum())))
    assert len(np.unique(pixels_of(drawn), axis=0)) == (classes > 0).sum()


def test_a_file_holds_empty_labels_and_how_they_were_drawn(small_map, tmp_path):
    folder, classes = small_map
    drawn = draw_sample(folder, DrawSpec(n=60, seed=5), out=tmp_path / "s.gpkg")
    frame = geopandas.read_file(tmp_path / "s.gpkg", layer="points")
    assert frame["class_name"].isna().all()
    assert set(frame["role"]) == {"assess"}
    record = read_record(tmp_path / "s.gpkg")
    assert record.strata == drawn.record.strata
    assert record.units == drawn.record.units
    assert record.kind == "stratified"
    assert record.digest == drawn.record.digest
    assert [s.pixels for s in record.strata] == [(classes == k).sum() for k in NAMES]
    with pytest.raises(OutputError, match="--overwrite"):
        draw_sample(folder, DrawSpec(n=60), out=tmp_path / "s.gpkg")


def test_rows_do_not_follow_strata(small_map):
    """Else the order would tell who labels them what the map says."""
    folder, _ = small_map
    strata = draw_sample(folder, DrawSpec(n=90, allocation="equal")).points.frame["stratum"]
    assert (strata == strata.shift()).sum() < 45


def test_a_raster_of_strata_replaces_the_classes(small_map, make_tif):
    folder, classes = small_map
    strata = np.full(classes.shape, 7, dtype=np.uint8)
    strata[100:], strata[250:] = 9, 0
    path = make_tif("strata.tif", strata, nodata=0)
    drawn = draw_sample(folder, DrawSpec(n=40, allocation="equal", strata=path))
    assert [s.name for s in drawn.record.strata] == ["stratum 7", "stratum 9"]
    assert [s.pixels for s in drawn.record.strata] == [100 * 37, 150 * 37]
    assert any("1,850 mapped pixels are in no stratum" in note for note in drawn.notes)
    rows = pixels_of(drawn)[:, 0]
    assert rows.max() < 250
    assert ((rows < 100) == (drawn.points.frame["stratum"] == "stratum 7")).all()


@pytest.mark.parametrize(
    ("strata", "options", "says"),
    [
        (np.ones((300, 40), np.float32), {}, "one band of whole numbers"),
        (np.ones((300, 41), np.uint8), {}, "not on the grid of the map"),
        (np.full((300, 40), 400, np.uint16), {}, "holds the value 400"),
        (np.zeros((300, 40), np.uint8), {"nodata": 0}, "no pixel of .* has a class and a stratum"),
    ],
)
def test_strata_that_do_not_fit_are_refused(small_map, make_tif, strata, options, says):
    path = make_tif("strata.tif", strata, **options)
    with pytest.raises(AssessmentError, match=says):
        draw_sample(small_map[0], DrawSpec(n=40, strata=path))


def test_the_accuracy_to_expect_comes_from_the_map_s_folder(small_map):
    folder, _ = small_map
    with pytest.raises(AssessmentError, match="give --expected-accuracy"):
        draw_sample(folder, DrawSpec(n=100, allocation="neyman"))
    rates = {"oa": 0.8, "ua.1": 0.5, "ua.2": 0.99, "ua.3": None}
    classes = [{"id": k, "name": name} for k, name in NAMES.items()]
    (folder / "assessment.json").write_text(json.dumps({"rates": rates, "classes": classes}))
    drawn = draw_sample(folder, DrawSpec(n=300, allocation="neyman"))
    by_name = dict(zip(NAMES.values(), drawn.record.units, strict=True))
    assert by_name["grass"] > 10 * by_name["sand"]  # 4/7 of the map and 5 times the deviation
    assert drawn.expected_error > 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("e.toml", "grass = 1.5", "grass has the expected accuracy 1.5; it is 0 to 1"),
        ("e.toml", "forest = 0.5", "'forest', which is no stratum; those of the classes"),
        ("e.toml", "grass", "neither JSON nor TOML"),
        ("e.json", "[1]", "is no assessment"),
        (None, "", "no expected accuracies at"),
    ],
)
def test_expected_accuracies_that_are_none_are_refused(small_map, tmp_path, name, content, says):
    path = tmp_path / (name or "none.toml")
    if name:
        path.write_text(content)
    with pytest.raises(AssessmentError, match=says):
        draw_sample(small_map[0], DrawSpec(n=100, expected_accuracy=path))


def test_a_toml_names_strata_and_a_number_holds_for_all(small_map, tmp_path):
    path = tmp_path / "e.toml"
    path.write_text("grass = 0.9\nsand = 0.5\nwater = 0.9\n")
    spec = DrawSpec(standard_error=0.02, allocation="neyman", expected_accuracy=path)
    by_class = draw_sample(small_map[0], spec)
    even = draw_sample(small_map[0], DrawSpec(standard_error=0.02, expected_accuracy=0.5))
    assert by_class.expected_error == pytest.approx(0.02, rel=0.02)
    assert even.expected_error == pytest.approx(0.02, rel=0.02)
    assert len(even.points) == 592  # 0.25 / 0.02² = 625, by 1 + 625 / 11,100 pixels


def test_the_wanted_error_is_reached_although_minima_take_places_away(small_map):
    spec = DrawSpec(standard_error=0.03, expected_accuracy=0.8, minimum=60)
    drawn = draw_sample(small_map[0], spec)
    assert drawn.expected_error <= 0.03 * 1.001
    assert min(drawn.record.units) >= 60
    assert len(drawn.points) > 0.16 / 0.03**2


def test_a_simple_sample_knows_no_strata(small_map, make_tif):
    drawn = draw_sample(small_map[0], DrawSpec(design="simple", n=111))
    assert set(drawn.points.frame["stratum"]) == {"map"}
    assert set(drawn.points.frame["inclusion_prob"]) == {0.01}
    assert "equal chances" in drawn.table()
    with pytest.raises(AssessmentError, match="has none; draw a stratified one"):
        DrawSpec(design="simple", n=9, strata=make_tif("s.tif", np.ones((300, 40), np.uint8)))


@pytest.mark.parametrize("options", [{}, {"n": 5, "standard_error": 0.1}])
def test_one_of_n_and_standard_error_is_needed(options):
    with pytest.raises(AssessmentError, match="give one of them"):
        DrawSpec(**options)
