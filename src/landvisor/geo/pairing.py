"""Which mask belongs to which image, by the names of their files."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from landvisor.errors import CollectionError
from landvisor.geo.collection import RASTERS, Item
from landvisor.phrases import list_few, say_count

_AFFIX = re.compile(
    r"^(?:masks?|labels?|gt|images?|img)[ _-]|[ _-](?:masks?|labels?|gt|seg|images?|img|sat)$",
    re.IGNORECASE,
)


def find_files(source: Path | str) -> list[Path]:
    """List the rasters of a folder, a glob pattern or a single file, sorted.

    Raises:
        CollectionError: If there is none.
    """
    path = Path(source)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in RASTERS]
    elif path.is_file():
        found = [path]
    else:
        named = glob.glob(str(source), recursive=True)  # noqa: PTH207 absolute patterns
        found = [Path(file) for file in named if Path(file).suffix.lower() in RASTERS]
    if not found:
        raise CollectionError(f"no image at {str(source)!r}; need a folder, glob or image file")
    return sorted(file.absolute() for file in found)


def pair_files(
    images: Sequence[Path], masks: Sequence[Path] | None, *, split: str | None = None
) -> tuple[list[Item], list[str]]:
    """Match images and masks by the stem of their names.

    Where no stem is equal, words such as `mask_` and `_sat` at either end are left out. An image
    without a mask stays, unlabelled.

    Args:
        images: Image files.
        masks: Mask files, or None for an unlabelled set.
        split: The split of the items.

    Returns:
        An item per image, and which files have no partner, in sentences.

    Raises:
        CollectionError: If nothing matches, or two masks fit one image.
    """
    if masks is None:
        return [Item(image.stem, image, None, split) for image in images], []
    by_key, strip = _index(images, masks)
    keys = [_key(image, strip=strip) for image in images]
    items = [Item(i.stem, i, by_key.get(k), split) for i, k in zip(images, keys, strict=True)]
    alone = [image.name for image, key in zip(images, keys, strict=True) if key not in by_key]
    spare = [mask.name for key, mask in by_key.items() if key not in set(keys)]
    notes = ["file names are matched without words such as mask_ and _sat"] if strip else []
    notes += _tell(alone, "image", "a mask, unlabelled")
    notes += _tell(spare, "mask", "an image, left out")
    return items, notes


def _index(images: Sequence[Path], masks: Sequence[Path]) -> tuple[dict[str, Path], bool]:
    strip = not {image.stem for image in images} & {mask.stem for mask in masks}
    by_key: dict[str, Path] = {}
    for mask in masks:
        key = _key(mask, strip=strip)
        if key in by_key:
            raise CollectionError(
                f"masks {by_key[key].name!r} and {mask.name!r} both fit one image; keep one"
            )
        by_key[key] = mask
    if not {_key(image, strip=strip) for image in images} & set(by_key):
        raise CollectionError(
            f"no mask has the name of an image: images are like {images[0].name!r}, masks like "
            f"{masks[0].name!r}; give both the same stem"
        )
    return by_key, strip


def _key(path: Path, *, strip: bool) -> str:
    return _AFFIX.sub("", path.stem) if strip else path.stem


def _tell(names: Sequence[str], noun: str, what: str) -> list[str]:
    return [f"{say_count(len(names), noun)} without {what}: {list_few(names)}"] if names else []
