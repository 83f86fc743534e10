"""Which images an arm is about: chosen, resized once, and known by their content."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import MemoryFile

from landvisor.errors import StudyError
from landvisor.files import hash_file, writing
from landvisor.geo.collection import Collection, Item, open_collection, write_collection
from landvisor.geo.handles import open_quietly
from landvisor.geo.importing import Splitting, import_collection
from landvisor.geo.legend import Legend, read_legend, write_legend
from landvisor.geo.rasters import Reading
from landvisor.labels.clean import clean_collection
from landvisor.study.choices import raise_unknown
from landvisor.study.spec import DataSpec

log = logging.getLogger(__name__)

_TABLE, _LEGEND = "collection.csv", "legend.toml"
_UNLABELLED = 255  # of resized masks
_BLANK = 127  # a pixel is data where half or more of what it averages is


@dataclass(frozen=True)
class Images:
    """The images of an arm.

    Attributes:
        original: Those that are used, as they came.
        used: The same at the size of the study, in the same order.
        reading: How `original` is read.
        reading_used: How `used` is read: resized images know their no-data.
        left_out: Names of those that are scored, but not learned from.
        legend: Of the data, whatever an arm ignores.
        digest: Hash of all that.
    """

    original: Collection
    used: Collection
    reading: Reading
    reading_used: Reading
    left_out: tuple[str, ...]
    legend: Legend
    digest: str


def prepare_images(data: DataSpec, *, base: Path, home: Path) -> Images:
    """Find, choose and resize images; what an earlier call made is used again.

    Args:
        data: Which images.
        base: Folder that paths are relative to.
        home: Where resized images and imported arrays are kept.

    Raises:
        StudyError: If there is no legend, or a split has too few images.
        CollectionError: If the collection does not hold together.
    """
    whole = _open(data, base, home)
    legend = read_legend(base / data.legend) if data.legend else whole.legend
    if legend is None:
        raise StudyError("the data have no legend.toml beside them; name one with data.legend")
    chosen = _choose(replace(whole, legend=legend), data)
    reading = Reading(data.nodata, data.nodata_tolerance)
    digest = _hash_images(chosen, data)
    left_out = _find_outliers(replace(whole, legend=legend), data, home, reading)
    used = chosen
    if data.size:
        used = _resize_once(chosen, data, reading, home / "data" / f"images-{digest}")
    return Images(
        original=chosen,
        used=used,
        reading=reading,
        reading_used=Reading() if data.size else reading,
        left_out=tuple(item.name for item in chosen.items if item.name in left_out),
        legend=legend,
        digest=digest,
    )


def find_legend(legend: Legend, ignore: tuple[str, ...] | None) -> Legend:
    """Return a legend that ignores the named classes and no others; as it is where None.

    Raises:
        StudyError: If a class does not exist.
    """
    if ignore is None:
        return legend
    names = [c.name for c in legend.classes]
    for name in ignore:
        if name not in names:
            raise_unknown("class in data.ignore", name, names)
    return Legend(tuple(replace(c, ignore=c.name in ignore) for c in legend.classes))


def name_splits(data: DataSpec) -> dict[str, str]:
    """Return the words that the data use for `train`, `val` and `test`."""
    return {"train": data.train, "val": data.val, "test": data.test}


def _open(data: DataSpec, base: Path, home: Path) -> Collection:
    if data.collection:
        return open_collection(base / data.collection)
    files = [base / name for name in data.arrays]
    for file in files:
        if not file.is_file():
            raise StudyError(f"data.arrays names {str(file)!r}, which is no file; see --data")
    how = Splitting(data.splits, data.val_share, 0)
    key = [[hash_file(file) for file in files], list(data.splits), data.val_share, data.legend]
    target = home / "data" / f"arrays-{_hash(key)}"
    legend = base / data.legend if data.legend else None

    def fill(folder: Path) -> None:
        import_collection([str(f) for f in files], folder / "in", legend=legend, splitting=how)

    return open_collection(make_once(target, fill) / "in" / _TABLE)


def make_once(target: Path, fill: Any) -> Path:
    """Return a folder that `fill` has filled, now or at an earlier time.

    It is filled aside and then renamed. Two processes may fill it at the same time: the first to
    end counts, and both made the same.
    """
    if not target.is_dir():
        with aside(target) as folder:
            folder.mkdir()
            fill(folder)
            with writing(target):
                if not target.exists():
                    folder.rename(target)
    return target


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` that is free, and remove what is left there at the end."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f".{uuid.uuid4().hex[:8]}.{target.name}")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if path.is_file():
            path.unlink()


def _choose(whole: Collection, data: DataSpec) -> Collection:
    """Keep as many images of each split as are wanted, evenly spaced."""
    items: list[Item] = []
    for role, split in name_splits(data).items():
        here = whole.select(split).items
        wanted = getattr(data.subset, role) or len(here)
        if wanted > len(here):
            raise StudyError(
                f"data.subset.{role} asks for {wanted} images and split {split!r} has {len(here)}; "
                "ask for fewer"
            )
        items += [here[position * len(here) // wanted] for position in range(wanted)]
    bare = next((item.name for item in items if item.mask is None), None)
    if bare is not None:
        raise StudyError(f"image {bare!r} has no mask to be scored against; leave it out")
    return Collection(tuple(items), whole.legend)


def _find_outliers(
    whole: Collection, data: DataSpec, home: Path, reading: Reading
) -> frozenset[str]:
    """Name the images that detectors find among all that may be learned from."""
    if not data.clean:
        return frozenset()
    learned = whole.select(f"{data.train},{data.val}")
    key = [list(data.clean), [_identify(item) for item in learned.items], repr(reading)]
    file = home / "data" / f"outliers-{_hash(key)}.json"
    if not file.exists():
        cleaned = clean_collection(learned, detectors=data.clean, reading=reading)
        names = sorted({entry.item.name for entry in cleaned.removed})
        with aside(file) as part:
            part.write_text(json.dumps(names), encoding="utf-8")
            part.replace(file)
    return frozenset(json.loads(file.read_text(encoding="utf-8")))


def _hash_images(chosen: Collection, data: DataSpec) -> str:
    legend = [vars(c) for c in chosen.legend.classes] if chosen.legend else []
    files = [_identify(item) for item in chosen.items]
    return _hash([files, legend, list(data.size), data.nodata, data.nodata_tolerance])


def _identify(item: Item) -> list[Any]:
    files = item.image if isinstance(item.image, tuple) else (item.image,)
    if not all(isinstance(file, Path) for file in (*files, item.mask)):
        raise StudyError(f"image {item.name!r} is no file here; a study needs its images at hand")
    hashes = [hash_file(file) for file in (*files, item.mask)]
    return [item.name, item.split, item.group, *hashes]


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _resize_once(chosen: Collection, data: DataSpec, reading: Reading, target: Path) -> Collection:
    size = (data.size[0], data.size[1])

    def fill(folder: Path) -> None:
        log.info("resizing %d images to %d x %d", len(chosen), *size)
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        items = [_resize(item, folder, size=size, reading=reading) for item in chosen.items]
        assert chosen.legend is not None, "prepare_images has seen to it"
        write_legend(chosen.legend, folder / _LEGEND)
        write_collection(Collection(tuple(items)), folder / _TABLE)

    return open_collection(make_once(target, fill) / _TABLE)


def _resize(item: Item, folder: Path, *, size: tuple[int, int], reading: Reading) -> Item:
    scene = item.open(reading)
    pixels, ids = scene.read(), item.read_mask(scene)
    image = folder / "images" / f"{item.name}.tif"
    mask = folder / "masks" / f"{item.name}.tif"
    scale = Affine.scale(scene.shape[1] / size[1], scene.shape[0] / size[0])
    place = {"transform": scene.grid.affine @ scale}
    if scene.georeferenced:
        place["crs"] = scene.grid.crs.to_wkt()
    valid = pixels.valid[None].astype(np.uint8) * 255
    shares = _shrink(valid, None, size, Resampling.average)[0]
    data = _shrink(pixels.data, pixels.valid, size, Resampling.average)
    _write(data, image, names=scene.bands, valid=shares > _BLANK, profile=place)
    known = np.where(ids < 0, _UNLABELLED, ids)[None].astype(np.uint8)
    small = _shrink(known, None, size, Resampling.mode)
    _write(small, mask, names=("class",), profile={**place, "nodata": _UNLABELLED})
    return replace(item, image=image, mask=mask)


def _shrink(
    data: NDArray[Any],
    valid: NDArray[np.bool_] | None,
    size: tuple[int, int],
    resampling: Resampling,
) -> NDArray[Any]:
    """Resample an array `[band, row, col]`; invalid pixels enter no average."""
    count, rows, cols = data.shape
    profile = {
        "driver": "GTiff",
        "dtype": data.dtype,
        "count": count,
        "height": rows,
        "width": cols,
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        MemoryFile() as memory,
    ):
        with open_quietly(memory.name, "w", **profile) as target:
            target.write(data)
            if valid is not None and not valid.all():
                target.write_mask(valid)
        with open_quietly(memory.name) as source:
            return np.asarray(source.read(out_shape=(count, *size), resampling=resampling))


def _write(
    data: NDArray[Any],
    path: Path,
    *,
    names: tuple[str, ...],
    profile: dict[str, Any],
    valid: NDArray[np.bool_] | None = None,
) -> None:
    count, rows, cols = data.shape
    layout = {"driver": "GTiff", "compress": "deflate", "count": count, "height": rows}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        open_quietly(path, "w", dtype=data.dtype, width=cols, **layout, **profile) as target,
    ):
        target.write(data)
        target.descriptions = names
        if valid is not None and not valid.all():
            target.write_mask(valid)
