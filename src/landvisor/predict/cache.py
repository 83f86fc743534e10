"""How much memory GDAL may keep of what it has read, which is 5 % of the machine's by default."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio.env import set_gdal_config

CACHE_BYTES = 128 << 20
"""Enough for the blocks under a row of windows, which the next row reads again."""

_NAME = "GDAL_CACHEMAX"


@contextmanager
def bound_cache() -> Iterator[None]:
    """Bound GDAL's cache in all threads, unless the environment says how large it is."""
    if _NAME in os.environ:
        yield
        return
    with rasterio.Env(**{_NAME: CACHE_BYTES}):
        yield


def bound_cache_for_good() -> None:
    """Bound it until the process ends: the threads of a worker would undo each other's bounds."""
    if _NAME not in os.environ:
        set_gdal_config(_NAME, CACHE_BYTES)
