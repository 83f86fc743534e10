"""A raster counts only once every pixel was written once and read back the same."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landvisor.errors import OutputError
from landvisor.geo.checked import CheckedRaster, Layout, covers_once
from landvisor.geo.tiling import Window, split_blocks

GRID = GeoBox((7, 9), Affine(10, 0, 5e5, 0, -10, 5e6), "EPSG:32630")
LAYOUT = Layout(bands=("value",), nodata=255, overviews="AVERAGE")


def _write(path: Path, windows: list[Window], *, error: Exception | None = None) -> None:
    with CheckedRaster(path, GRID, layout=LAYOUT) as raster:
        for window in windows:
            raster.write(window, np.full((1, *window.shape), window.row, dtype=np.uint8))
        if error is not None:
            raise error


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@st.composite
def partitions(draw: st.DrawFn) -> tuple[tuple[int, int], list[Window]]:
    """Cut a grid into rectangles by cutting one of them again and again."""
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    windows = [Window(0, 0, *shape)]
    for _ in range(draw(st.integers(0, 12))):
        chosen = windows.pop(draw(st.integers(0, len(windows) - 1)))
        if draw(st.booleans()) and chosen.rows > 1:
            cut = draw(st.integers(1, chosen.rows - 1))
            first = Window(chosen.row, chosen.col, cut, chosen.cols)
            rest = Window(chosen.row + cut, chosen.col, chosen.rows - cut, chosen.cols)
            windows += [first, rest]
        elif chosen.cols > 1:
            cut = draw(st.integers(1, chosen.cols - 1))
            first = Window(chosen.row, chosen.col, chosen.rows, cut)
            rest = Window(chosen.row, chosen.col + cut, chosen.rows, chosen.cols - cut)
            windows += [first, rest]
        else:
            windows.append(chosen)
    return shape, draw(st.permutations(windows))


@given(partitions())
def test_every_partition_covers_a_grid_once(case: tuple[tuple[int, int], list[Window]]) -> None:
    shape, windows = case
    assert covers_once(windows, shape)


@given(
    st.lists(
        st.builds(
            Window, st.integers(0, 3), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4)
        ),
        max_size=8,
    )
)
def test_corners_agree_with_counting_pixels(windows: list[Window]) -> None:
    counts = np.zeros((8, 8), dtype=int)
    for window in windows:
        counts[window.slices] += 1
    expected = np.zeros((8, 8), dtype=int)
    expected[:4, :4] = 1
    assert covers_once(windows, (4, 4)) == bool((counts == expected).all())


def test_a_raster_holds_what_was_written(tmp_path: Path) -> None:
    _write(tmp_path / "a.tif", list(split_blocks((7, 9), 2)))
    with rasterio.open(tmp_path / "a.tif") as raster:
        expected = np.repeat(np.arange(7) // 2 * 2, 9).reshape(7, 9)
        assert (raster.read(1) == expected).all()
    assert _names(tmp_path) == ["a.tif"]


@pytest.mark.parametrize("fault", ["missing", "twice", "none at all"])
def test_a_pixel_not_written_once_is_an_error(tmp_path: Path, fault: str) -> None:
    windows = list(split_blocks((7, 9), 3))
    faulty = {"missing": windows[1:], "twice": [*windows, windows[0]], "none at all": []}[fault]
    with pytest.raises(OutputError, match="exactly once"):
        _write(tmp_path / "a.tif", faulty)
    assert _names(tmp_path) == []


def test_an_exception_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        _write(tmp_path / "a.tif", [Window(0, 0, 7, 9)], error=RuntimeError())
    assert _names(tmp_path) == []


def test_a_window_off_the_grid_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        _write(tmp_path / "a.tif", [Window(0, 0, 7, 10)])
    assert _names(tmp_path) == []


def test_values_that_come_back_wrong_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = rasterio.shutil.copy

    def damage_and_copy(source: Path, target: Path, **options: object) -> None:
        with rasterio.open(source, "r+") as raster:
            raster.write(np.full((1, 1, 1), 77, dtype=np.uint8), window=((6, 7), (8, 9)))
        copy(source, target, **options)

    monkeypatch.setattr(rasterio.shutil, "copy", damage_and_copy)
    with pytest.raises(OutputError, match="row 6, column 6"):
        _write(tmp_path / "a.tif", list(split_blocks((7, 9), 3)))
    assert _names(tmp_path) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        _write(tmp_path / "missing" / "a.tif", [])


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from landvisor.errors import OutputError
from landvisor.files import publish_directory
from landvisor.geo.checked import CheckedRaster, Layout
from landvisor.geo.tiling import split_blocks

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
rng = np.random.default_rng(0)
shape = (600, 600)
for limit in (700, 200_000, 300_000, 700_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with publish_directory(Path(sys.argv[1])) as folder, CheckedRaster(
            folder / "a.tif",
            GeoBox(shape, Affine.identity(), None),
            layout=Layout(bands=("a", "b"), nodata=255, overviews="AVERAGE"),
        ) as raster:
            for window in split_blocks(shape, 250):
                raster.write(window, rng.integers(0, 250, (2, *window.shape), dtype=np.uint8))
    except OutputError:
        continue
    sys.exit(f"a limit of {limit} bytes went unnoticed")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of files")
def test_a_disk_that_fills_at_any_moment_publishes_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, os.fspath(tmp_path / "result")],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert _names(tmp_path) == []
