"""What a file of arrays holds: images, masks and groups, and how they become pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from landvisor.errors import CollectionError
from landvisor.geo.collection import TEST, Item
from landvisor.geo.styles import pixel_space_allowed

SUFFIXES = {".npz", ".npy"}
_KEYS = ("training_set", "test_set", "images", "masks", "group")
_UNLABELLED = 255
_PLAIN = {"arr_0", "data"}


@dataclass(frozen=True, eq=False)
class Stack:
    """Images of one size, with what is known about them.

    Attributes:
        images: `[n, band, row, col]` in a data type that GDAL can store.
        masks: uint8 `[n, row, col]` of class ids, 255 being unlabelled; None without labels.
        groups: A name per image, or None.
        split: The split that the array's name implies, or None.
        key: Name of the array, to tell the images of two stacks apart; empty where alone.
        notes: What was decided while reading, one sentence each.
    """

    images: NDArray[Any]
    masks: NDArray[np.uint8] | None = None
    groups: tuple[str, ...] | None = None
    split: str | None = None
    key: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def read_stacks(path: Path, masks: Path | None = None) -> tuple[Stack, ...]:
    """Read the image stacks of an `.npz` or `.npy` file; pickled objects are refused.

    Known names are `training_set` (`[n, 2, row, col]`: image and mask), `test_set` (images
    alone), `images` with `masks`, and `group`. Images are `[n, row, col]`, `[n, band, row, col]`
    or `[n, row, col, band]`.

    Args:
        path: The file.
        masks: Another array file with the masks of its images, or None.

    Raises:
        CollectionError: If it is not such a file or its arrays do not fit together.
    """
    arrays = _load(path)
    notes = _unused(arrays, path)
    if len(arrays) == 1 and set(arrays) <= _PLAIN:
        arrays, notes = _guess_layout(next(iter(arrays.values())), path, paired=masks is None)
    if masks is not None:
        arrays["masks"] = _only_masks(masks)
    stacks = [stack for key in ("training_set", "images", "test_set")
              if key in arrays and (stack := _make_stack(key, arrays, path))]  # fmt: skip
    if not stacks:
        raise CollectionError(
            f"{str(path)!r} has {_listed(arrays)}; need training_set or images (with masks, group)"
        )
    keys = [stack.key for stack in stacks] if len(stacks) > 1 else [""]
    named = [replace(s, key=k) for s, k in zip(stacks, keys, strict=True)]
    return (replace(named[0], notes=(*named[0].notes, *notes)), *named[1:])


def write_stack(stack: Stack, folder: Path, *, stem: str, split: str | None) -> list[Item]:
    """Write a stack as pictures under `images` and `masks` of a folder.

    uint8 images of one or three bands become PNG, all others GeoTIFF without a CRS. A name ends
    with the position in the array, from 0.

    Args:
        stack: What to write.
        folder: An existing folder.
        stem: What all names begin with.
        split: The split of the items.
    """
    for name in ("images", "masks"):
        (folder / name).mkdir(exist_ok=True)
    digits = max(4, len(str(len(stack) - 1)))
    lead = f"{stem}_{stack.key}" if stack.key else stem
    picture = stack.images.dtype == np.uint8 and stack.images.shape[1] in (1, 3)
    items = []
    for position in range(len(stack)):
        name = f"{lead}_{position:0{digits}d}"
        image = folder / "images" / (name + (".png" if picture else ".tif"))
        _write_picture(image, stack.images[position])
        mask = None
        if stack.masks is not None:
            mask = folder / "masks" / f"{name}.png"
            _write_picture(mask, stack.masks[position][None])
        group = stack.groups[position] if stack.groups else None
        items.append(Item(name, image, mask, split, group))
    return items


def _load(path: Path) -> dict[str, NDArray[Any]]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"data": found}
        with found:
            return {key: found[key] for key in found.files}
    except FileNotFoundError as error:
        raise CollectionError(
            f"no such file: {str(path)!r}; give arrays as .npz or .npy"
        ) from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CollectionError(
            f"{str(path)!r} is damaged or holds pickled objects, which could run any code and are "
            "never read; save plain numeric arrays with numpy.savez"
        ) from error


def _unused(arrays: dict[str, NDArray[Any]], path: Path) -> tuple[str, ...]:
    extra = [key for key in arrays if key not in _KEYS and key not in _PLAIN]
    return (f"arrays {_listed(extra)} of {path.name} are not used",) if extra else ()


def _guess_layout(
    array: NDArray[Any], path: Path, *, paired: bool
) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    if paired and array.ndim == 4 and array.shape[1] == 2:
        note = f"the two channels of {path.name} are taken as image and mask"
        return {"training_set": array}, (note,)
    return {"images": array}, ()


def _only_masks(path: Path) -> NDArray[Any]:
    arrays = _load(path)
    found = arrays.get("masks", next(iter(arrays.values())) if len(arrays) == 1 else None)
    if found is None:
        raise CollectionError(f"{str(path)!r} has {_listed(arrays)}; need one array, masks")
    return found


def _make_stack(key: str, arrays: dict[str, NDArray[Any]], path: Path) -> Stack:
    images, masks = arrays[key], arrays.get("masks") if key == "images" else None
    where = f"{key!r} of {path.name}"
    if key == "training_set":
        if images.ndim != 4 or images.shape[1] != 2:
            raise CollectionError(
                f"{where} has shape {images.shape}; need [n, 2, rows, cols], image and mask"
            )
        images, masks = images[:, 0], images[:, 1]
    checked = None if masks is None else _check_masks(masks, where)
    split = {"training_set": "train", "test_set": TEST}.get(key)
    data = _check_images(images, checked, where)
    return Stack(data, checked, _groups(arrays, key, len(data), path), split, key)


def _check_masks(masks: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return masks as uint8 `[n, row, col]`; a negative value is unlabelled."""
    if masks.ndim == 4:
        axis = 1 if masks.shape[1] == 1 else -1
        masks = masks.squeeze(axis) if masks.shape[axis] == 1 else masks
    numeric = masks.dtype.kind in "biuf"
    if masks.ndim != 3 or not numeric or (masks.dtype.kind == "f" and (masks % 1 != 0).any()):
        raise CollectionError(
            f"the masks for {where} have shape {masks.shape} and type {masks.dtype}; need whole "
            "class ids [n, rows, cols]"
        )
    if masks.size and masks.max() > _UNLABELLED:
        raise CollectionError(
            f"the masks for {where} hold {masks.max()}; class ids are 0 to 254, 255 is unlabelled"
        )
    return np.where(masks < 0, _UNLABELLED, masks).astype(np.uint8)


def _check_images(
    images: NDArray[Any], masks: NDArray[np.uint8] | None, where: str
) -> NDArray[Any]:
    """Return images as `[n, band, row, col]` in a data type that GDAL stores."""
    if images.ndim not in (3, 4) or images.dtype.kind not in "biuf" or not images.size:
        raise CollectionError(
            f"{where} has shape {images.shape} and type {images.dtype}; need numbers as "
            "[n, rows, cols], [n, bands, rows, cols] or [n, rows, cols, bands]"
        )
    data = images[:, None] if images.ndim == 3 else images
    if images.ndim == 4 and _bands_last(images.shape, masks):
        data = np.moveaxis(images, -1, 1)
    if masks is not None and (len(data), *data.shape[2:]) != masks.shape:
        raise CollectionError(f"{where} has shape {images.shape}, its masks have {masks.shape}")
    small = {"b": np.uint8, "f": np.float32 if data.dtype.itemsize < 4 else data.dtype}
    return data.astype(small.get(data.dtype.kind, data.dtype), copy=False)


def _bands_last(shape: Sequence[int], masks: NDArray[np.uint8] | None) -> bool:
    if masks is not None and tuple(shape[2:]) != tuple(shape[1:3]):
        return tuple(shape[1:3]) == masks.shape[1:]
    return shape[3] < shape[1]


def _groups(
    arrays: dict[str, NDArray[Any]], key: str, count: int, path: Path
) -> tuple[str, ...] | None:
    """Return the group of each image; with two stacks it is the labelled one's."""
    group = arrays.get("group")
    if group is None or (key == "test_set" and len(arrays) > 2):
        return None
    if group.shape != (count,):
        raise CollectionError(
            f"'group' of {path.name} has shape {group.shape} but {key!r} has {count} images; "
            "need one group per image"
        )
    return tuple(str(name) for name in group.tolist())


def _write_picture(path: Path, data: NDArray[Any]) -> None:
    bands, rows, cols = data.shape
    profile: dict[str, Any] = {"driver": "PNG"}
    if path.suffix == ".tif":
        # GDAL would take the fourth byte band for alpha, and so for validity
        profile = {"driver": "GTiff", "photometric": "MINISBLACK", "alpha": "UNSPECIFIED",
                   "compress": "DEFLATE"}  # fmt: skip
    with (
        pixel_space_allowed(),
        rasterio.open(
            path, "w", width=cols, height=rows, count=bands, dtype=data.dtype, **profile
        ) as raster,
    ):
        raster.write(data)


def _listed(keys: Any) -> str:
    return ", ".join(repr(str(key)) for key in keys) or "no array"
