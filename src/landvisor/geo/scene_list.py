"""Which rasters a text file lists: one path or address per line, # before a comment."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from landvisor.errors import CollectionError
from landvisor.remote import Place, as_place, find_stem, hide_query

LIST = ".txt"
"""Suffix of such a file."""


def read_list(path: Path) -> list[tuple[str, Place]]:
    """Read names and places of the rasters in a list; blank lines are passed over.

    The name is the file's stem, with the folder's name before it where a stem occurs twice.

    Args:
        path: Text in UTF-8; what is relative in it begins in its folder.

    Raises:
        CollectionError: If there is no such file, it is no text, or it names nothing.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise CollectionError(f"no list at {str(path)!r}; write a raster per line") from error
    except UnicodeDecodeError as error:
        raise CollectionError(f"{str(path)!r} is not a text in UTF-8: {error}") from error
    named = [line for line in lines if line and not line.startswith("#")]
    if not named:
        raise CollectionError(f"{str(path)!r} names no raster; write a path or address per line")
    places = [place_beside(line, path.parent) for line in named]
    often = Counter(find_stem(place) for place in places)
    return [(_name(place, whole=often[find_stem(place)] > 1), place) for place in places]


def place_beside(name: str, folder: Path) -> Place:
    """Return the place that a table in `folder` names; addresses are whole already."""
    place = as_place(name)
    return folder / place if isinstance(place, Path) else place


def _name(place: Place, *, whole: bool) -> str:
    stem = find_stem(place)
    return f"{Path(hide_query(place)).parent.name}_{stem}" if whole else stem
