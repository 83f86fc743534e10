"""Which scenes belong together: an ordered set with masks, splits and groups."""

from __future__ import annotations

import csv
import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from landvisor.errors import CollectionError
from landvisor.geo.legend import UNLABELLED, Legend, read_legend
from landvisor.geo.places import map_to_pixels, pixels_to_map
from landvisor.geo.rasters import Reading, open_bands, open_scene
from landvisor.geo.scene import Scene, scene_from_array
from landvisor.geo.scene_list import LIST, place_beside, read_list
from landvisor.geo.stac_read import read_stac
from landvisor.phrases import say_count
from landvisor.remote import Place, as_place, find_stem, hide_query, is_remote

RASTERS = {".tif", ".tiff", ".gtif", ".vrt", ".png", ".jpg", ".jpeg", ".jp2", ".img", ".webp"}
TEST = "test"
_HALF_PIXEL = 0.5
_COLUMNS = ("image", "mask", "split", "group")


@dataclass(frozen=True)
class Item:
    """One scene of a collection, opened when asked for.

    Attributes:
        name: The image file's stem or the STAC item's id; unique in its collection.
        image: The file or its address, or several single-band files, or a scene that is open.
        mask: Class raster on the same grid, or None.
        split: `train`, `val`, `test` or another word; None is no split.
        group: Scenes of one group are never parted by a split or fold.
        bands: Names of the bands where they are known better than by the files.
        date: When the image was taken, in ISO 8601.
        cloud_cover: Share of the image that is cloud, in percent.
    """

    name: str
    image: Place | tuple[Place, ...] | Scene
    mask: Place | None = None
    split: str | None = None
    group: str | None = None
    bands: tuple[str, ...] = ()
    date: str | None = None
    cloud_cover: float | None = None

    def open(self, reading: Reading | None = None) -> Scene:
        """Open the scene."""
        if isinstance(self.image, Scene):
            return self.image
        if isinstance(self.image, tuple):
            scene = open_bands(self.image, reading=reading)
        else:
            scene = open_scene(self.image, reading)
        named = len(self.bands) == len(scene.bands)
        return replace(scene, name=self.name, bands=self.bands if named else scene.bands)

    def open_mask(self, scene: Scene) -> Scene:
        """Open the mask as a scene of one band on the grid of the scene.

        Raises:
            CollectionError: If there is no mask or it is not on the scene's grid.
        """
        if self.mask is None:
            raise CollectionError(f"scene {self.name!r} has no mask; add one to the collection")
        mask, mask_name = open_scene(self.mask), Path(hide_query(self.mask)).name
        if mask.shape != scene.shape or len(mask.bands) != 1:
            bands = say_count(len(mask.bands), "band")
            raise CollectionError(
                f"mask {mask_name!r} has {bands} of {mask.shape}; need one "
                f"band of {scene.shape} as scene {self.name!r} has"
            )
        if mask.georeferenced and scene.georeferenced and not same_place(mask.grid, scene.grid):
            raise CollectionError(
                f"mask {mask_name!r} lies elsewhere than scene {self.name!r} though both have "
                f"{mask.shape} pixels; warp it to the scene's grid"
            )
        return mask

    def read_mask(self, scene: Scene) -> NDArray[np.int64]:
        """Read the mask as class ids `[row, col]`; its own no-data becomes `UNLABELLED`.

        Raises:
            CollectionError: If there is no mask or it is not on the scene's grid.
        """
        pixels = self.open_mask(scene).read()
        ids = np.full(pixels.valid.shape, UNLABELLED, dtype=np.int64)
        ids[pixels.valid] = pixels.data[0][pixels.valid]
        return ids


@dataclass(frozen=True)
class Collection:
    """An ordered set of scenes; one scene is a collection of one.

    Attributes:
        items: At least one, with unique names.
        legend: The legend found beside the collection, or None.
        path: The file or folder it was read from.
    """

    items: tuple[Item, ...]
    legend: Legend | None = None
    path: Path | None = None

    def __len__(self) -> int:
        return len(self.items)

    def select(self, split: str | None) -> Collection:
        """Keep the items of one split, or of several joined by commas; None keeps all.

        Raises:
            CollectionError: If no item has one of the splits.
        """
        if split is None:
            return self
        wanted = [part.strip() for part in split.split(",")]
        known = {item.split for item in self.items if item.split}
        unknown = next((part for part in wanted if part not in known), None)
        if unknown is not None:
            raise CollectionError(
                f"no scene has split {unknown!r}; "
                + (
                    f"the splits are {', '.join(sorted(known))}"
                    if known
                    else "there are no splits: "
                    "leave it out, or give a collection.csv with a column 'split'"
                )
            )
        return replace(self, items=tuple(item for item in self.items if item.split in wanted))

    def for_learning(self, split: str | None, val_split: str | None) -> Collection:
        """Keep what may be learned from: the named splits, else all scenes but those of `test`.

        Raises:
            CollectionError: If no item has one of the named splits, or all are of `test`.
        """
        if split is not None:
            return self.select(",".join(part for part in (split, val_split) if part))
        self.select(val_split)
        items = tuple(item for item in self.items if item.split != TEST)
        if not items:
            raise CollectionError(
                f"all {len(self)} scenes have split {TEST!r}, which is never learned from unless "
                f"named; give --split {TEST} to do so"
            )
        return replace(self, items=items)

    def open_scenes(self, reading: Reading | None = None) -> tuple[Scene, ...]:
        """Open all scenes and check that they have the same bands.

        Raises:
            CollectionError: If the number of bands differs.
        """
        scenes = tuple(item.open(reading) for item in self.items)
        for scene in scenes:
            if len(scene.bands) != len(scenes[0].bands):
                raise CollectionError(
                    f"scene {scene.name!r} has {len(scene.bands)} bands and "
                    f"{scenes[0].name!r} has {len(scenes[0].bands)}; need the same everywhere"
                )
        return scenes

    def files(self) -> dict[str, Path | str]:
        """Name the image files by what a run record calls them; arrays have none."""
        named: dict[str, Path | str] = {}
        for item in self.items:
            files = item.image if isinstance(item.image, tuple) else (item.image,)
            for number, file in enumerate(files):
                if not isinstance(file, Scene):
                    shown = hide_query(file) if is_remote(file) else file
                    named[f"scene {item.name}" + (f" band {number + 1}" if number else "")] = shown
        return named

    def sources(self) -> list[object]:
        """List all that the collection is read from, so that no output replaces it."""
        masks = (item.mask for item in self.items)
        return [*filter(None, [self.path, *masks]), *self.files().values()]

    def groups(self) -> list[str]:
        """Return the group of each item; an item without one is a group of its own."""
        return [item.group or f"scene {item.name}" for item in self.items]


CollectionSource = Path | str | Sequence[Path | str] | Scene | NDArray[Any] | Collection


def open_collection(
    source: Path | str | Sequence[Path | str], *, assets: Sequence[str] = ()
) -> Collection:
    """Open a collection from what a user names.

    Args:
        source: A raster or picture, its address (`https://`, `s3://`, `gs://`, `az://`, `/vsi…`),
            `collection.csv`, a folder of images, a glob pattern, a list of rasters in a `.txt`, a
            STAC item or item collection, or several of all but tables, folders and patterns.
            Several single-band files that are meant as one scene go through `band_collection`.
        assets: The assets of STAC items that are the bands of a scene; see `read_stac`.

    Raises:
        CollectionError: If nothing is found, names occur twice, or assets are named of what is
            not STAC.
        SceneError: If an address of JSON cannot be read.
    """
    if not isinstance(source, str | Path):
        if not source:
            raise CollectionError("no image was given; name at least one")
        items = [item for each in source for item in _list_items(as_place(each), assets)]
        return _make(items, _folder_of(as_place(source[0])))
    place = as_place(source)
    found = _find_table(place) if isinstance(place, Path) else None
    if found is None:
        return _make(_list_items(place, assets), _folder_of(place))
    _refuse_assets(assets, place)
    return found


def _find_table(path: Path) -> Collection | None:
    """Open a table, a folder or a pattern; None is for what is none of them."""
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.is_dir():
        if (path / "collection.csv").exists():
            return _read_csv(path / "collection.csv")
        return _make([_as_item(file) for file in _images_in(path)], path)
    if any(sign in str(path) for sign in "*?[") and not path.exists():
        found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 absolute patterns
        if not found:
            raise CollectionError(f"no file matches {str(path)!r}; check the pattern")
        return _make([_as_item(Path(file)) for file in found], Path(found[0]).parent)
    return None


def _list_items(place: Place, assets: Sequence[str]) -> list[Item]:
    """List what one file or address names: a raster, the items of STAC, the lines of a list."""
    images = read_stac(place, assets)
    if images is not None:
        return [
            Item(
                name=image.name,
                image=image.files[0] if len(image.files) == 1 else image.files,
                bands=image.bands,
                date=image.date,
                cloud_cover=image.cloud_cover,
            )
            for image in images
        ]
    _refuse_assets(assets, place)
    if isinstance(place, Path) and place.suffix.lower() == LIST:
        return [Item(name, raster) for name, raster in read_list(place)]
    return [_as_item(place)]


def _refuse_assets(assets: Sequence[str], place: Place) -> None:
    if assets:
        raise CollectionError(
            f"--asset {assets[0]} picks from STAC items, and {str(place)!r} is none; leave it out"
        )


def as_collection(source: CollectionSource) -> Collection:
    """Take what a user calls imagery as a collection.

    Args:
        source: Anything `open_collection` takes, an open scene, an array `[band, row, col]`, or
            a collection.
    """
    if isinstance(source, Collection):
        return source
    if isinstance(source, np.ndarray):
        source = scene_from_array(source)
    if isinstance(source, Scene):
        return Collection((Item(source.name, source),))
    return open_collection(source)


def band_collection(paths: Sequence[Path | str]) -> Collection:
    """Make a collection of one scene that has one file per band."""
    files = tuple(as_place(path) for path in paths)
    name = Path(hide_query(files[0])).parent.name or find_stem(files[0])
    return Collection((Item(name, files),), None, _folder_of(files[0]))


def write_collection(collection: Collection, path: Path) -> None:
    """Write `collection.csv`; paths in its folder are relative to it, all others absolute.

    Raises:
        CollectionError: If a scene is not one file.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(_COLUMNS)
        for item in collection.items:
            table.writerow([
                _relative(item.image, path), _relative(item.mask, path), item.split, item.group
            ])  # fmt: skip


def _relative(file: Any, path: Path) -> str:
    if file is None:
        return ""
    if not isinstance(file, Path | str):
        raise CollectionError("a scene of several files or of none has no row in a table; save it")
    if isinstance(file, str):
        return file
    # Not resolved: a link into a data store is to stay one.
    whole, folder = Path(file).absolute(), path.parent.absolute()
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def same_place(first: GeoBox, second: GeoBox) -> bool:
    """Tell whether two grids of one shape agree to half a pixel in all corners."""
    rows, cols = first.shape
    corners = np.array([[0, 0], [rows, 0], [0, cols], [rows, cols]], dtype=np.float64)
    shift = map_to_pixels(second, pixels_to_map(first, corners)) - corners
    return bool(np.abs(shift).max() < _HALF_PIXEL)


def _folder_of(place: Place) -> Path | None:
    return place.parent if isinstance(place, Path) else None


def _as_item(place: Place) -> Item:
    return Item(find_stem(place), place)


def _images_in(folder: Path) -> list[Path]:
    found = sorted(f for f in folder.iterdir() if f.suffix.lower() in RASTERS)
    if not found:
        raise CollectionError(f"folder {str(folder)!r} holds no image; need GeoTIFF, PNG or JPEG")
    return found


def _read_csv(path: Path) -> Collection:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise CollectionError(f"no collection at {str(path)!r}; make one with import") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CollectionError(f"{str(path)!r} is not a CSV table in UTF-8: {error}") from error
    if not rows or "image" not in rows[0]:
        raise CollectionError(f"{str(path)!r} needs a column 'image' and at least one row")
    return _make([_row_item(row, path.parent) for row in rows], path)


def _row_item(row: dict[str, str], folder: Path) -> Item:
    if not row["image"]:
        raise CollectionError(f"a row of the collection in {str(folder)!r} names no image")
    image = place_beside(row["image"], folder)
    mask = row.get("mask") or None
    return Item(
        find_stem(image),
        image,
        place_beside(mask, folder) if mask else None,
        row.get("split") or None,
        row.get("group") or None,
    )


def _make(items: list[Item], path: Path | None) -> Collection:
    names = [item.name for item in items]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise CollectionError(
            f"two scenes are named {twice!r}; names must be unique: rename a file, or list them "
            "in a .txt, where the folder's name goes before"
        )
    if path is None:
        return Collection(tuple(items))
    legend = (path if path.is_dir() else path.parent) / "legend.toml"
    return Collection(tuple(items), read_legend(legend) if legend.exists() else None, path)
