"""How raster files are opened: without a warning, once per thread, over a network patiently."""

from __future__ import annotations

import os
import threading
import warnings
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from weakref import ref

import rasterio
from rasterio.env import get_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from landvisor.errors import SceneError
from landvisor.geo.vectors import FORMATS
from landvisor.remote import SETTINGS, hide_query, is_remote, restore_address

# Threads that change the filters of warnings, or GDAL's settings, at once leave each other's
# behind.
_ONE_OPENS = threading.Lock()
_THREAD = threading.local()
_MOST_OPEN = 64  # per thread; with eight of them half of the 1,024 files that Linux allows
_ORDER = " (imagery is named first, points last)"


class Handles:
    """Open datasets, one per file, thread and process: GDAL's must not be shared.

    A fork would share the file position with its parent, so the process counts too; a copy that
    is sent elsewhere starts empty. A thread closes what it opened first where thousands of scenes
    would else exhaust the files that a process may have open.
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def get(self, path: str) -> Any:
        """Return this thread's own open dataset.

        Raises:
            SceneError: If the file cannot be opened.
        """
        known: dict[str, Any] = self._local.__dict__
        key = f"{os.getpid()} {path}"
        if key not in known:
            known[key] = open_raster(path)
            self._make_room(key)
        return known[key]

    def _make_room(self, key: str) -> None:
        opened: deque[tuple[ref[Handles], str]] = _THREAD.__dict__.setdefault("opened", deque())
        opened.append((ref(self), key))
        if len(opened) > _MOST_OPEN:
            owner, first = opened.popleft()
            handles = owner()
            if handles is not None:
                handles._local.__dict__.pop(first, None)

    def __reduce__(self) -> tuple[type[Handles], tuple[()]]:
        return Handles, ()


def open_quietly(path: Path | str, mode: str = "r", **profile: Any) -> Any:
    """Open a rasterio dataset, be it a plain image, in any thread and without a warning.

    Args:
        path: The file, or its address.
        mode: `r` or `w`.
        profile: What rasterio needs to know of a file to write.

    Raises:
        RasterioError: If GDAL cannot.
    """
    with _ONE_OPENS, warnings.catch_warnings(), _patience(path):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(restore_address(path), mode, **profile)


def open_raster(path: str) -> Any:
    """Open a raster to read.

    Raises:
        SceneError: If there is none, or GDAL cannot open it.
    """
    try:
        return open_quietly(path)
    except RasterioError as error:
        raise SceneError(_say_why(path, error)) from error


def _patience(path: Path | str) -> AbstractContextManager[Any]:
    """Set how a remote file is read; it keeps that from its opening on."""
    if not is_remote(path):
        return nullcontext()
    missing = {key: value for key, value in SETTINGS.items() if get_gdal_config(key) is None}
    settings: AbstractContextManager[Any] = rasterio.Env(**missing)
    return settings


def _say_why(path: str, error: RasterioError) -> str:
    if is_remote(path):
        reason = str(error).replace(path, "").strip().splitlines()[0]
        return (
            f"{hide_query(path)!r} cannot be opened ({reason}); check the address, the network "
            "and your access to it"
        )
    # Names with a colon may be subdatasets, which are no files.
    if ":" not in path and not Path(path).exists():
        return f"no such file: {path!r}; give the path of a raster or picture"
    return (
        f"{path!r} is not a raster that GDAL can open, or it is truncated; need a GeoTIFF, "
        f"COG, VRT, PNG, JPEG or the like{_ORDER if Path(path).suffix in FORMATS else ''}"
    )
