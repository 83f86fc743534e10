"""A labelled sample states accuracy and areas of a whole map, or says why it cannot."""

import json

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
from affine import Affine
from shapely.geometry import box

from landvisor.accuracy.assessment import Assessment
from landvisor.accuracy.draw import DrawSpec, draw_sample
from landvisor.accuracy.reference import NO_AREA, hold_against
from landvisor.errors import AssessmentError, PointsError
from landvisor.geo.areas import measure_areas
from landvisor.geo.legend import read_legend
from landvisor.geo.rasters import open_scene
from landvisor.geo.styles import read_map_legend
from landvisor.options import Options

NAMES = {1: "grass", 2: "sand", 3: "water"}


@pytest.fixture
def truth(small_map):
    """Class ids `[row, col]`: the map with one pixel in eight wrong."""
    _, classes = small_map
    wrong = np.random.default_rng(1).random(classes.shape) < 1 / 8
    return np.where(wrong, classes % 3 + 1, classes)


@pytest.fixture
def label(truth):
    """Fill a drawn file as a person would, and change columns."""

    def fill(path, *, layers=True, **columns):
        frame = geopandas.read_file(path, layer="points")
        pixels = frame[["row", "col"]].to_numpy(dtype=int)
        labels = [NAMES[int(truth[tuple(pixel)])] for pixel in pixels]
        frame = frame.assign(class_name=labels, **columns)
        out = path if layers else path.with_name("plain.gpkg")
        frame.to_file(out, layer="points", driver="GPKG", engine="pyogrio")
        return out

    return fill


@pytest.fixture
def draw(small_map, tmp_path):
    def make(**options):
        path = tmp_path / "sample.gpkg"
        draw_sample(small_map[0], DrawSpec(**options), out=path, overwrite=True)
        return path

    return make


def assess(folder, reference, **options):
    return hold_against(folder, reference, options=Options(), **options)


def test_a_drawn_and_labelled_file_says_itself_how_it_was_drawn(small_map, draw, label, truth):
    folder, classes = small_map
    found = assess(folder, label(draw(n=600)))
    true = (truth == classes)[classes > 0].mean()
    low, high = found.intervals["oa"]
    assert low < true < high
    assert found.design.kind == "stratified"
    assert found.design.nested
    shares = found.design.estimates.share
    for k in range(3):
        assert shares.low[k] < (truth == k + 1)[classes > 0].mean() < shares.high[k]
    assert found.rates()["oa"] == found.design.estimates.oa.value[0]
    assert NO_AREA not in found.notes


def test_every_pixel_drawn_is_the_truth_without_error(small_map, draw, label, truth):
    folder, classes = small_map
    mapped = classes > 0
    found = assess(folder, label(draw(n=int(mapped.sum())))).to_dict()["design"]
    oa = found["overall"]["oa"]
    true = (truth == classes)[mapped].mean()
    assert oa["value"] == pytest.approx(true)
    assert oa["low"] == pytest.approx(true)
    assert oa["se"] == 0
    for row in found["classes"]:
        assert row["pixels"]["value"] == pytest.approx((truth == row["id"])[mapped].sum())
        assert row["m2"]["value"] == pytest.approx(100 * row["pixels"]["value"], rel=0.01)
        assert row["mapped_pixels"] == (classes == row["id"]).sum()


def test_a_simple_sample_is_one_stratum(small_map, draw, label):
    found = assess(small_map[0], label(draw(design="simple", n=300)))
    assert [s.name for s in found.design.strata] == ["map"]
    plain = found.confusion.metrics()
    assert {k: v for k, v in found.rates().items() if v == v} == pytest.approx(
        {k: v for k, v in plain.items() if v == v}
    )


def test_json_round_trip_keeps_the_design(small_map, draw, label):
    found = assess(small_map[0], label(draw(n=100)))
    text = json.dumps(found.to_dict(), allow_nan=False)
    again = Assessment.from_dict(json.loads(text))
    assert again.to_dict() == found.to_dict()
    assert again.table() == found.table()


def test_the_table_holds_strata_rates_areas_and_says_which_intervals(small_map, draw, label):
    lines = assess(small_map[0], label(draw(n=100, allocation="equal"))).table().splitlines()
    assert lines[0] == "stratified random sample; strata: the classes of the map"
    assert [line.split()[0] for line in lines[2:5]] == list(NAMES.values())
    text = "\n".join(lines)
    for word in ("producer's accuracy", "IoU", "area", "ha", "Wilson", "labels of the reference"):
        assert word in text
    assert "'grass' as grass" in text


def test_the_classes_of_the_map_are_the_strata_where_nothing_else_is_said(
    small_map, draw, label, make_points, truth
):
    folder = small_map[0]
    drawn = label(draw(n=200))
    frame = geopandas.read_file(drawn, layer="points")
    plain = make_points("p.gpkg", frame[["row", "col"]], label=list(frame["class_name"]))
    found, same = assess(folder, plain, design="stratified"), assess(folder, drawn)
    assert found.rates() == pytest.approx(same.rates(), nan_ok=True)
    without = assess(folder, plain)
    assert without.design is None
    assert NO_AREA in without.notes


def test_a_file_without_the_record_goes_by_its_columns(small_map, draw, label):
    drawn = draw(n=200, allocation="equal")
    plain = label(drawn, layers=False)
    found = assess(small_map[0], plain, design="stratified")
    same = assess(small_map[0], label(drawn))
    assert found.rates() == pytest.approx(same.rates(), nan_ok=True)
    assert any("follow from 'inclusion_prob'" in note for note in found.notes)


def test_strata_of_a_raster(small_map, make_tif, make_points, truth):
    folder, classes = small_map
    strata = np.full(classes.shape, 7, dtype=np.uint8)
    strata[100:] = 9
    path = make_tif("strata.tif", strata)
    generator = np.random.default_rng(0)
    rows = np.concatenate([generator.integers(0, 100, 60), generator.integers(100, 300, 60)])
    cols = generator.integers(3, 40, 120)
    labels = [NAMES[int(v)] for v in truth[rows, cols]]
    points = make_points("p.gpkg", np.column_stack([rows, cols]), label=labels)
    found = assess(folder, points, design="stratified", strata=path)
    assert [s.pixels for s in found.design.strata] == [3700, 7400]
    right = truth[rows, cols] == classes[rows, cols]
    near = rows < 100
    expected = right[near].mean() / 3 + right[~near].mean() * 2 / 3
    assert found.rates()["oa"] == pytest.approx(expected, abs=0.01)  # a pixel may be met twice
    assert not found.design.nested


def test_a_polygon_is_one_unit(small_map, tmp_path):
    plots = [box(500_000 + 10 * c, 5_000_000 - 10 * r - 10, 500_010 + 10 * c, 5_000_000 - 10 * r)
             for r, c in ((3, 5), (9, 9), (20, 30))]  # fmt: skip
    frame = geopandas.GeoDataFrame(
        {"label": ["grass", "sand", "water"]}, geometry=plots, crs="EPSG:32633"
    )
    frame.to_file(tmp_path / "plots.gpkg")
    found = assess(small_map[0], tmp_path / "plots.gpkg", design="simple")
    assert found.reference.places == 3
    assert any("counts as one unit" in note for note in found.notes)


def test_places_without_a_label_are_told(small_map, draw, label):
    path = label(draw(n=100))
    frame = geopandas.read_file(path, layer="points")
    frame.loc[:9, "class_name"] = None
    frame.to_file(path, layer="points", driver="GPKG", engine="pyogrio")
    found = assess(small_map[0], path)
    assert found.reference.places == 90
    assert any("10 of the 100 drawn places have no usable label" in n for n in found.notes)


def test_a_map_that_changed_since_the_draw_is_noticed(
    small_map, draw, label, write_prediction, tmp_path
):
    folder, classes = small_map
    path = label(draw(n=300))
    later = np.where(classes == 2, 3, classes)
    shares = np.stack([later == k for k in (1, 2, 3)]).astype(np.float32)
    grid = open_scene(folder / "map.tif").grid
    (tmp_path / "later").mkdir()
    legend = read_map_legend(folder / "map.tif")
    write_prediction(tmp_path / "later", grid, legend=legend, probabilities=shares, valid=later > 0)
    found = assess(tmp_path / "later", path)
    assert any("not the one that the sample was drawn from" in note for note in found.notes)
    assert [s.name for s in found.design.strata] == list(NAMES.values())  # those of the draw
    assert not found.design.nested
    assert found.design.mapped[1] == 0
    assert any("the map holds no sand, though the reference does" in n for n in found.notes)


def refuse(folder, reference, says, **options):
    with pytest.raises((AssessmentError, PointsError), match=says) as caught:
        assess(folder, reference, **options)
    assert "\n" not in str(caught.value)


def test_a_sample_off_the_map_is_refused(small_map, draw, label):
    path = label(draw(n=100))
    frame = geopandas.read_file(path, layer="points")
    moved = frame.assign(geometry=frame.geometry.translate(300, 0))
    moved.to_file(path, layer="points", driver="GPKG", engine="pyogrio")
    refuse(small_map[0], path, r"\d+ of the 100 places of the sample lie off the map")
    far = frame.assign(geometry=frame.geometry.translate(10**6, 0))
    far.to_file(path, layer="points", driver="GPKG", engine="pyogrio")
    refuse(small_map[0], path, "lie off the imagery")


def test_a_design_that_the_file_contradicts_is_refused(small_map, draw, label):
    path = label(draw(n=100))
    refuse(small_map[0], path, "drawn as a stratified random sample", design="simple")
    plain = label(draw(n=100, allocation="equal"), layers=False)
    refuse(small_map[0], plain, "equal chances; give --design stratified", design="simple")


def test_strata_without_a_unit_are_refused(small_map, make_points):
    points = make_points("p.gpkg", [[0, 3], [0, 4], [1, 3]], label=["grass"] * 3)
    refuse(small_map[0], points, "no labelled place lies in", design="stratified")


def test_a_class_without_a_unit_can_be_merged_into_another(small_map, make_points, tmp_path):
    folder, classes = small_map
    pixels = np.argwhere((classes == 1) | (classes == 2))[::400]
    labels = [NAMES[int(classes[tuple(pixel)])] for pixel in pixels]
    points = make_points("p.gpkg", pixels, label=labels)
    refuse(folder, points, r"in 'water' \(14 % of the map\).*`as` in --legend", design="stratified")
    legend = tmp_path / "legend.toml"
    legend.write_text(
        '[[class]]\nid = 1\nname = "grass"\n[[class]]\nid = 2\nname = "sand"\n'
        '[[class]]\nid = 3\nname = "water"\nas = "sand"\n'
    )
    found = hold_against(folder, points, options=Options(legend=legend), design="stratified")
    assert [s.pixels for s in found.design.strata] == [(classes == 1).sum(), (classes > 1).sum()]


def test_pixels_of_unequal_size_are_told_and_measured_on_the_ellipsoid(make_tif, tmp_path):
    classes = np.resize([1, 2], (60, 5)).astype(np.uint8)
    path = make_tif("m.tif", classes, crs="EPSG:4326", transform=Affine(1, 0, 0, 0, -1, 60))
    legend = tmp_path / "legend.toml"
    legend.write_text('[[class]]\nid = 1\nname = "a"\n[[class]]\nid = 2\nname = "b"\n')
    rows, cols = np.divmod(np.arange(0, 300, 7), 5)
    table = pd.DataFrame({"lon": cols + 0.5, "lat": 59.5 - rows, "class": classes[rows, cols]})
    table.to_csv(tmp_path / "p.csv", index=False)
    found = hold_against(
        path, tmp_path / "p.csv", options=Options(legend=legend), design="stratified"
    )
    total = sum(row["m2"]["value"] for row in found.to_dict()["design"]["classes"])
    measured = measure_areas(path, legend=read_legend(legend))
    assert total == pytest.approx(sum(c.area for c in measured.classes))
    assert any("pixels differ in size by 9" in note for note in found.notes)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"stratum": "dune"}, "names 'dune', which is no stratum"),
        ({"stratum": ["sand", *[None] * 99]}, "99 of 100 labelled places have no entry"),
    ],
)
def test_strata_that_do_not_match_are_refused(small_map, draw, label, columns, says):
    path = label(draw(n=100), **columns)
    refuse(small_map[0], path, says)


@pytest.mark.parametrize(
    ("chances", "says"),
    [
        ("soon", "holds 'soon'; need for each place the chance"),
        (1.5, "above 0 and at most 1"),
        (np.linspace(0.1, 0.9, 100), "units of a stratum have equal chances"),
    ],
)
def test_chances_that_are_none_are_refused(small_map, draw, label, chances, says):
    path = label(draw(n=100), layers=False, inclusion_prob=chances)
    refuse(small_map[0], path, says, design="stratified")


def test_strata_smaller_than_their_sample_are_refused(small_map, draw, label, make_tif):
    folder, classes = small_map
    path = label(draw(n=100), layers=False)
    strata = np.full(classes.shape, 1, dtype=np.uint8)
    frame = geopandas.read_file(path)
    strata[int(frame.row[0]), int(frame.col[0])] = 2
    raster = make_tif("strata.tif", np.where(strata == 2, 2, 1).astype(np.uint8))
    found = assess(folder, path, design="stratified", strata=raster)
    assert not any("single labelled place" in n for n in found.notes)  # it is all there is
    assert found.design.units.tolist() == [99, 1]
    assert found.design.corrected == ["stratum 2"]
    strange = strata.copy()
    strange[int(frame.row[1]), int(frame.col[1])] = 0
    lost = make_tif("lost.tif", strange, nodata=0)
    refuse(folder, path, "in no stratum", design="stratified", strata=lost)


def test_masks_and_folders_of_maps_have_no_design(small_map, make_tif, draw, label, tmp_path):
    folder, classes = small_map
    refuse(folder, make_tif("m.tif", classes), "given with masks", design="simple")
    refuse(folder, label(draw(n=50)), "go with --design stratified", strata=tmp_path / "s.tif")


def test_a_layer_of_that_name_that_is_not_ours_is_no_record(small_map, draw, label):
    path = label(draw(n=50), layers=False)
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer="strata", driver="GPKG")
    assert assess(small_map[0], path).design is None


def test_a_damaged_record_is_refused(small_map, draw, label):
    path = label(draw(n=50))
    table = pyogrio.read_dataframe(path, layer="strata").assign(design="clever")
    pyogrio.write_dataframe(table, path, layer="strata", driver="GPKG")
    refuse(small_map[0], path, "does not say how its places were drawn")
