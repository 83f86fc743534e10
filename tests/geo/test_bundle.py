"""A map bundle opens styled anywhere, and its files say what was predicted."""

import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate
from scipy.special import xlogy

from landvisor.errors import OutputError
from landvisor.geo.bundle import MapFiles, map_files, write_map
from landvisor.geo.coding import encode_map
from landvisor.geo.legend import LandClass, Legend, legend_from_ids
from landvisor.geo.styles import read_map_legend
from landvisor.geo.tiling import Window, full_window, split_blocks

LEGEND = Legend(
    (
        LandClass(1, "sea", "#0000ff"),
        LandClass(4, "dune grass", "#88cc44"),
        LandClass(6, "cloud", "#ffffff", ignore=True),
        LandClass(9, "Düne", "#ffee99"),
    )
)
PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)
UTM = "EPSG:32630"


def encode_shares(shares: NDArray[np.floating], *, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The plain formula of how shares are coded."""
    return np.where(valid, np.rint(np.where(valid, shares, 0) * 254), 255).astype(np.uint8)


def measure_uncertainty(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """The plain formulae of normalised entropy, and one minus the margin."""
    count = len(probabilities)
    if count == 1:
        return np.zeros((2, *probabilities.shape[1:]), dtype=np.float32)
    entropy = -xlogy(probabilities, probabilities).sum(axis=0) / np.log(count)
    second, best = np.partition(probabilities, count - 2, axis=0)[-2:]
    return np.clip(np.stack([entropy, 1 - (best - second)]), 0, 1).astype(np.float32)


class Prediction:
    """A prediction of a whole grid, as a model would give it."""

    def __init__(self, shape: tuple[int, int], *, legend: Legend = LEGEND, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        raw = rng.random((len(legend.ids), *shape), dtype=np.float32) ** 4 + 1e-6
        self.shape, self.legend = shape, legend
        self.probabilities: NDArray[np.float32] = (raw / raw.sum(axis=0)).astype(np.float32)
        self.classes = np.array(legend.ids, dtype=np.uint8)[self.probabilities.argmax(axis=0)]
        self.valid = rng.random(shape) > 0.2

    def grid(self, crs: str | None = UTM) -> GeoBox:
        return GeoBox(self.shape, Affine.identity() if crs is None else PLACE, crs)

    def code(self, window: Window) -> NDArray[np.uint8]:
        part = window.slices
        shares = np.ascontiguousarray(self.probabilities[:, *part])
        return encode_map(
            shares,
            self.valid[part],
            ids=self.legend.ids,
            nodata=self.legend.nodata,
            window=window,
        )


def _write_map(
    folder: Path,
    prediction: Prediction,
    *,
    windows: list[Window] | None = None,
    block: int = 128,
    crs: str | None = UTM,
) -> MapFiles:
    parts = list(split_blocks(prediction.shape, block)) if windows is None else windows
    files = map_files(folder)
    made = write_map(
        files,
        prediction.grid(crs),
        legend=prediction.legend,
        read_blocks=lambda planes: ((part, prediction.code(part)[planes]) for part in parts),
    )
    assert list(made) == [files.probabilities, files.uncertainty, files.classes]
    return files


def _rasters(files: MapFiles) -> tuple[Path, Path, Path]:
    return files.classes, files.probabilities, files.uncertainty


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    made = Prediction((600, 700))
    made.valid[:, 500:] = False
    return made


@pytest.fixture(scope="module")
def files(prediction: Prediction, tmp_path_factory: pytest.TempPathFactory) -> MapFiles:
    return _write_map(tmp_path_factory.mktemp("map"), prediction, block=250)


def test_all_rasters_lie_on_the_grid_of_the_scene(files: MapFiles, prediction: Prediction) -> None:
    for path in _rasters(files):
        with rasterio.open(path) as raster:
            assert (raster.height, raster.width) == prediction.shape
            assert raster.transform == PLACE
            assert raster.crs.to_epsg() == 32630
            assert set(raster.dtypes) == {"uint8"}


def test_all_rasters_are_strictly_valid_cogs(files: MapFiles) -> None:
    for path in _rasters(files):
        assert cog_validate(path, strict=True) == (True, [], [])


def test_nothing_but_the_bundle_is_left(files: MapFiles) -> None:
    names = {"map.tif", "map.tif.aux.xml", "map.qml", "probabilities.tif", "uncertainty.tif"}
    assert {path.name for path in files.classes.parent.iterdir()} == names


def test_classes_come_back_with_no_data_where_invalid(
    files: MapFiles, prediction: Prediction
) -> None:
    with rasterio.open(files.classes) as raster:
        found = raster.read(1)
        assert raster.nodata == 0
        assert raster.descriptions == ("land cover class",)
        assert files.names.name in {Path(name).name for name in raster.files}
    assert (found == np.where(prediction.valid, prediction.classes, 0)).all()


def test_names_and_colours_come_back(files: MapFiles) -> None:
    assert read_map_legend(files.classes) == Legend(LEGEND.active)
    with rasterio.open(files.classes) as raster:
        assert raster.colormap(1)[4] == (0x88, 0xCC, 0x44, 255)
        assert raster.colormap(1)[0][3] == 0


def test_probabilities_come_back_within_half_a_code(
    files: MapFiles, prediction: Prediction
) -> None:
    with rasterio.open(files.probabilities) as raster:
        codes = raster.read()
        assert raster.descriptions == LEGEND.names
        assert raster.nodata == 255
        assert raster.scales == (1 / 254,) * 3
        assert "alpha" not in {interpretation.name for interpretation in raster.colorinterp}
    error = np.abs(codes / 254 - prediction.probabilities)[:, prediction.valid]
    assert error.max() <= 0.5 / 254 + 1e-6
    assert (codes[:, ~prediction.valid] == 255).all()


def test_uncertainty_is_named_and_never_no_data_where_valid(
    files: MapFiles, prediction: Prediction
) -> None:
    with rasterio.open(files.uncertainty) as raster:
        codes = raster.read()
        assert raster.descriptions == ("normalised entropy", "one minus margin of two best")
        assert raster.nodata == 255
    assert ((codes != 255) == prediction.valid).all()


def test_mode_overviews_hold_only_known_classes(files: MapFiles) -> None:
    with rasterio.open(files.classes) as raster:
        levels = len(raster.overviews(1))
    assert levels >= 1
    for level in range(levels):
        with rasterio.open(files.classes, overview_level=level) as raster:
            assert set(np.unique(raster.read(1))) <= {0, *LEGEND.ids}


def test_averaged_overviews_do_not_mix_in_no_data(tmp_path: Path) -> None:
    made = Prediction((600, 600))
    made.probabilities[:] = np.array([0.5, 0.25, 0.25], dtype=np.float32)[:, None, None]
    found = _write_map(tmp_path, made, block=600)
    with rasterio.open(found.probabilities, overview_level=0) as raster:
        assert set(np.unique(raster.read(1))) <= {127, 255}


def test_a_scene_without_crs_gives_a_map_in_plain_pixels(tmp_path: Path) -> None:
    found = _write_map(tmp_path, Prediction((40, 30)), crs=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        for path in _rasters(found):
            with rasterio.open(path) as raster:
                assert raster.crs is None
                assert raster.transform == Affine.identity()
    assert read_map_legend(found.classes) == Legend(LEGEND.active)


def test_a_class_with_id_zero_moves_no_data_to_255(tmp_path: Path) -> None:
    legend = Legend((LandClass(0, "sand", "#ffee00"), LandClass(1, "sea", "#0000ff")))
    made = Prediction((20, 20), legend=legend)
    found = _write_map(tmp_path, made)
    with rasterio.open(found.classes) as raster:
        assert raster.nodata == 255
        assert (raster.read(1) == np.where(made.valid, made.classes, 255)).all()
    assert read_map_legend(found.classes) == legend


def test_one_class_alone_is_certain(tmp_path: Path) -> None:
    made = Prediction((20, 20), legend=Legend((LandClass(3, "sea", "#0000ff"),)))
    found = _write_map(tmp_path, made)
    with rasterio.open(found.uncertainty) as raster:
        assert set(np.unique(raster.read())) == {0, 255}


def test_a_stem_names_all_files_of_a_map_in_a_collection(tmp_path: Path) -> None:
    found = map_files(tmp_path, "tile_3")
    assert [getattr(found, part.name).name for part in fields(found)] == [
        "tile_3.tif",
        "tile_3_probabilities.tif",
        "tile_3_uncertainty.tif",
        "tile_3.qml",
        "tile_3.tif.aux.xml",
    ]


@settings(deadline=None, max_examples=12)
@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    block=st.integers(7, 100),
    seed=st.integers(0, 5),
)
def test_blocks_of_any_size_give_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int], block: int, seed: int
) -> None:
    made = Prediction(shape, seed=seed)
    whole = _write_map(tmp_path_factory.mktemp("whole"), made, block=max(shape))
    parts = _write_map(tmp_path_factory.mktemp("parts"), made, block=block)
    for part in fields(MapFiles):
        assert getattr(whole, part.name).read_bytes() == getattr(parts, part.name).read_bytes()


def test_blocks_across_tiles_and_in_any_order_give_the_same_files(
    tmp_path: Path, files: MapFiles, prediction: Prediction
) -> None:
    windows = list(reversed(list(split_blocks(prediction.shape, 333))))
    made = _write_map(tmp_path, prediction, windows=windows)
    for part in fields(MapFiles):
        found, expected = getattr(made, part.name), getattr(files, part.name)
        assert found.read_bytes() == expected.read_bytes()


def test_a_pixel_that_was_never_written_is_an_error(tmp_path: Path) -> None:
    made = Prediction((20, 20))
    with pytest.raises(OutputError, match="exactly once"):
        _write_map(tmp_path, made, windows=list(split_blocks(made.shape, 10))[:3])
    assert list(tmp_path.iterdir()) == []


def test_what_is_done_is_not_written_again(tmp_path: Path, prediction: Prediction) -> None:
    files = map_files(tmp_path)
    asked = []

    def read_blocks(planes: slice) -> list[tuple[Window, NDArray[np.uint8]]]:
        asked.append(planes)
        window = full_window(prediction.shape)
        return [(window, prediction.code(window)[planes])]

    done = [files.probabilities, files.uncertainty]
    rest = write_map(files, prediction.grid(), legend=LEGEND, read_blocks=read_blocks, done=done)
    assert list(rest) == [files.classes]
    assert asked == [slice(0, 1)]


@pytest.mark.parametrize("what", ["NaN", "two", "too few classes"])
def test_what_is_no_prediction_of_the_legend_is_refused(what: str) -> None:
    made = Prediction((20, 20))
    made.valid[7, 5] = True
    if what == "too few classes":
        made.probabilities = made.probabilities[:2]
    else:
        made.probabilities[0, 7, 5] = np.nan if what == "NaN" else 2
    with pytest.raises(OutputError, match=r"legend of the model|row 7, column 5"):
        made.code(full_window(made.shape))


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    count=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_codes_are_those_of_the_plain_formulae(
    shape: tuple[int, int], count: int, seed: int
) -> None:
    made = Prediction(shape, legend=legend_from_ids(range(3, 3 + count)), seed=seed)
    codes = made.code(full_window(shape))
    assert (codes[0] == np.where(made.valid, made.classes, 0)).all()
    shares = encode_shares(made.probabilities, valid=made.valid)
    assert (codes[3:] == shares).all()
    measures = encode_shares(measure_uncertainty(made.probabilities), valid=made.valid)
    assert np.abs(codes[1:3].astype(int) - measures).max() <= 1  # where rounding is a toss-up


def test_values_at_invalid_pixels_never_matter(tmp_path: Path) -> None:
    made = Prediction((20, 20))
    first = _write_map(tmp_path, made).probabilities.read_bytes()
    made.probabilities[:, ~made.valid] = np.nan
    assert _write_map(tmp_path, made).probabilities.read_bytes() == first


def test_uncertainty_has_the_values_worked_by_hand() -> None:
    cases = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [0.7, 0.2, 0.1]])
    entropy, margin = measure_uncertainty(cases.T[:, None, :])[:, 0]
    # -(0.7 ln 0.7 + 0.2 ln 0.2 + 0.1 ln 0.1) = 0.80182; divided by ln 3 = 0.72985
    assert entropy == pytest.approx([0, 1, np.log(2) / np.log(3), 0.72985], abs=1e-5)
    assert margin == pytest.approx([0, 1, 1, 0.5], abs=1e-6)
    shares = cases.T[:, None, :].astype(np.float32)
    codes = encode_map(
        shares, np.ones((1, 4), bool), ids=(1, 2, 3), nodata=0, window=Window(0, 0, 1, 4)
    )
    assert codes[1:3, 0].tolist() == [[0, 254, 160, 185], [0, 254, 254, 127]]


def test_shares_use_all_codes_but_that_of_no_data() -> None:
    shares = np.array([[0.0, 0.5, 1.0, np.nan]])
    valid = np.array([[True, True, True, False]])
    assert encode_shares(shares, valid=valid).tolist() == [[0, 127, 254, 255]]
    both = np.stack([shares, 1 - shares]).astype(np.float32)
    codes = encode_map(both, valid, ids=(1, 2), nodata=0, window=Window(0, 0, 1, 4))
    assert codes[3].tolist() == [[0, 127, 254, 255]]
