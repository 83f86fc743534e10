import json

import numpy as np
import pytest
from click.testing import CliRunner

from landvisor.cli.draw_options import STRATEGIES as STRATEGIES_OFFERED
from landvisor.cli.main import group, main
from landvisor.geo.importing import Splitting, import_collection
from landvisor.labels.strategies import STRATEGIES


@pytest.fixture
def collection(tmp_path):
    pairs = np.resize([1, 2, 2], (2, 2, 8, 9)).astype(np.uint8)
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", training_set=pairs)
    import_collection(
        [tmp_path / "one.npz", tmp_path / "two.npz"],
        tmp_path / "data",
        splitting=Splitting(("train", "test")),
    )
    return tmp_path / "data" / "collection.csv"


def invoke(*arguments):
    return CliRunner().invoke(group, ["sample", *map(str, arguments)])


def test_sample_prints_counts_and_share(collection, tmp_path):
    out = tmp_path / "points.gpkg"
    result = invoke(collection, "--split", "train", "--strategy", "per_class", "--n", 3, "-o", out)
    assert result.exit_code == 0, result.output
    assert "12 of 144 valid labelled pixels, 8.3333 %, on 2 images" in result.stdout
    assert out.exists()


def test_test_scenes_are_left_out_unless_named(collection, tmp_path):
    found = json.loads(invoke(collection, "--json", "-o", tmp_path / "a.gpkg").stdout)
    assert found["images"] == 2
    named = invoke(collection, "--split", "test,train", "--json", "-o", tmp_path / "b.gpkg")
    assert json.loads(named.stdout)["images"] == 4


def test_a_single_image_goes_with_its_mask(collection, tmp_path):
    folder = collection.parent
    result = invoke(
        folder / "images" / "one_0000.png", "--mask", folder / "masks" / "one_0000.png",
        "--strategy", "grid", "--n", 4, "--json", "--out", tmp_path / "p.gpkg",
    )  # fmt: skip
    assert json.loads(result.stdout)["labelled_pixels"] == 72


def test_oracle_placement_is_said(collection, tmp_path):
    result = invoke(
        collection, "--strategy", "per_object", "--placement", "interior", "-o", tmp_path / "p.gpkg"
    )
    assert "oracle" in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--placement", "interior"),
        ("--min-area", 4),
        ("--strategy", "per_object", "--n", 4),
        ("--strategy", "per_class", "--spread", "equal"),
        ("--strategy", "budget", "--radius", 4),
        ("--strategy", "grid", "--cluster-size", 4),
        ("--noise", 1.2),
    ],
)
def test_options_that_would_be_ignored_are_bad_usage(collection, tmp_path, options):
    assert invoke(collection, *options, "--out", tmp_path / "p.gpkg").exit_code == 2


@pytest.mark.parametrize(
    "options",
    [
        ("--strategy", "clustered", "--cluster-size", 3, "--radius", 2.5, "--n", 9),
        ("--strategy", "budget", "--spread", "sqrt", "--jitter", 0.5),
        ("--strategy", "per_object", "--min-area", 2, "--noise", 0.25),
    ],
)
def test_options_are_told_and_workers_change_no_byte(collection, tmp_path, options):
    files = [tmp_path / "one.gpkg", tmp_path / "many.gpkg"]
    for file, workers in zip(files, (1, 4), strict=True):
        result = invoke(collection, *options, "--workers", workers, "--json", "-o", file)
        assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)["options"]
    for name, value in zip(options[2::2], options[3::2], strict=True):
        assert told[name.removeprefix("--").replace("-", "_")] == value
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_command_offers_every_strategy_but_the_upper_bound():
    assert set(STRATEGIES_OFFERED) == set(STRATEGIES) - {"dense"}


def test_an_existing_file_is_kept(collection, tmp_path, capsys):
    out = tmp_path / "points.gpkg"
    out.write_text("mine")
    with pytest.raises(SystemExit) as caught:
        main(["sample", str(collection), "--out", str(out)])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert out.read_text() == "mine"


def test_a_split_that_a_single_image_does_not_have_is_refused(collection, tmp_path, capsys):
    folder, out = collection.parent, tmp_path / "p.gpkg"
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(folder / "images" / "one_0000.png"), "--split", "val", "--out",
              str(out), "--mask", str(folder / "masks" / "one_0000.png")])  # fmt: skip
    assert stop.value.code == 1
    assert "no scene has split 'val'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["p.csv", "p.tif", "collection.csv"])
def test_points_are_written_as_a_geopackage_alone(collection, capsys, name):
    out = collection.with_name(name)
    before = collection.read_bytes()
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(collection), "--out", str(out), "--overwrite"])
    assert stop.value.code == 1
    assert "end it in .gpkg" in capsys.readouterr().err
    assert collection.read_bytes() == before


def test_an_input_is_never_replaced(collection, tmp_path, capsys):
    area = tmp_path / "area.gpkg"
    area.write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(collection), "--aoi", str(area), "--out", str(area), "--overwrite"])
    assert stop.value.code == 1
    assert "which would be lost" in capsys.readouterr().err
    assert area.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "2 of 4 scenes are drawn from: those of split test are left out"),
        (("--split", "train"), "2 of 4 scenes are drawn from: those of --split train"),
        (("--split", "train,test"), ""),
        (("--quiet",), ""),
    ],
)
def test_scenes_that_are_left_out_are_told(collection, tmp_path, options, said):
    told = invoke(collection, *options, "-o", tmp_path / "p.gpkg").stderr
    assert told.startswith(said)
    assert bool(told) == bool(said)


@pytest.fixture
def class_map(tmp_path, make_tif):
    """A plain class raster with its legend."""
    classes = np.resize([1, 1, 1, 2], (50, 40)).astype(np.uint8)
    legend = tmp_path / "legend.toml"
    legend.write_text('[[class]]\nid = 1\nname = "grass"\n[[class]]\nid = 2\nname = "sand"\n')
    return make_tif("classes.tif", classes), legend


def test_places_are_drawn_from_a_map_for_people_to_label(class_map, tmp_path):
    path, legend = class_map
    how = ("--from-map", "--legend", legend, "--allocation", "equal", "--n", 30, "--seed", 4)
    result = invoke(path, *how, "-o", tmp_path / "s.gpkg")
    assert result.exit_code == 0, result.output
    assert "grass     1,500   75.00 %      15" in result.stdout
    assert "stratified random sample from the classes of the map, equal allocation, seed 4" in (
        result.stdout
    )
    told = json.loads(invoke(path, *how, "--json", "-o", tmp_path / "t.gpkg").stdout)
    assert [stratum["units"] for stratum in told["strata"]] == [15, 15]


def test_a_wanted_standard_error_says_how_many(class_map, tmp_path):
    path, legend = class_map
    result = invoke(
        path, "--from-map", "--legend", legend, "--design", "simple", "--standard-error", 0.05,
        "--expected-accuracy", 0.8, "--json", "-o", tmp_path / "s.gpkg",
    )  # fmt: skip
    assert json.loads(result.stdout)["places"] == 63  # 0.16 / 0.05² = 64, by 1 + 64 / 2,000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--n", 5, "--strategy", "grid"), "--strategy does nothing with --from-map"),
        (("--n", 5, "--split", "test"), "--split does nothing with --from-map"),
        (("--n", 5, "--aoi", "a.gpkg"), "--aoi does nothing with --from-map"),
        ((), "either --n or --standard-error"),
        (("--n", 5, "--standard-error", 0.1), "either --n or --standard-error"),
        (("--n", 5, "--design", "simple", "--minimum", 3), "--minimum goes with --design strat"),
    ],
)
def test_options_that_do_not_go_with_a_map_are_bad_usage(class_map, tmp_path, options, says):
    result = invoke(class_map[0], "--from-map", *options, "-o", tmp_path / "s.gpkg")
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize("option", [("--design", "simple"), ("--standard-error", 0.1)])
def test_options_of_a_draw_from_a_map_are_bad_usage_without_it(collection, tmp_path, option):
    result = invoke(collection, *option, "-o", tmp_path / "s.gpkg")
    assert result.exit_code == 2
    assert f"{option[0]} goes with --from-map" in result.stderr


def test_a_map_is_never_replaced_by_its_sample(class_map, tmp_path, capsys):
    path, legend = class_map
    with pytest.raises(SystemExit) as stop:
        main(["sample", str(path), "--from-map", "--n", "5", "--legend", str(legend), "--out",
              str(tmp_path / "s.tif")])  # fmt: skip
    assert stop.value.code == 1
    assert "end it in .gpkg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--strata", "s.tif"), "--strata goes with --design stratified"),
        (("--design", "simple", "--border", "2"), "--border is for masks"),
    ],
)
def test_assess_refuses_what_it_would_ignore(options, says):
    result = CliRunner().invoke(group, ["assess", "map.tif", "p.gpkg", *options])
    assert result.exit_code == 2
    assert says in result.stderr
