"""What an address on a network is, what it is called, and how JSON is fetched from it."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from typing import Any

from landvisor.errors import SceneError

Place = Path | str
"""A file, or as text an address or a path that GDAL alone understands (`/vsi…`)."""

SETTINGS = {
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    # Side files are looked for one by one, which on a server costs a request each.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}
"""How GDAL reads remote files, where neither the environment nor the program says otherwise."""

_SCHEME = re.compile(r"^(https?|s3|gs|az|abfss?|memory):/+(?=[^/])")
_VIRTUAL = re.compile(r"^/vsi.*?(curl|s3|gs|az|adls|oss|swift|hdfs)(_streaming)?[/?]")
# What passes by itself: too many requests, and a server that is busy or restarting.
_BUSY = {429, 500, 502, 503, 504}


def is_remote(path: Path | str) -> bool:
    """Tell whether a path is an address: `https://`, `s3://`, `gs://`, `az://` or `/vsicurl/`."""
    return bool(_SCHEME.match(str(path)) or _VIRTUAL.match(str(path)))


def restore_address(path: Path | str) -> str:
    """Return an address as it was typed; a `Path` made of one has lost one of its slashes."""
    return _SCHEME.sub(r"\1://", str(path))


def as_place(source: Path | str) -> Place:
    """Return a path, or the text of what a path would change."""
    if is_remote(source):
        return restore_address(source)
    return str(source) if str(source).startswith("/vsi") else Path(source)


def find_anywhere(path: str) -> str:
    """Return a path by which processes that run in another folder find the same file."""
    return str(Path(path).absolute()) if not is_remote(path) and Path(path).exists() else path


def hide_query(path: Path | str) -> str:
    """Return an address without what follows the question mark, where signatures are."""
    address = restore_address(path)
    return address.split("?")[0] if _SCHEME.match(address) else address


def find_stem(path: Path | str) -> str:
    """Return the name of the file at a path or address, without folders and suffix."""
    return PurePosixPath(hide_query(path)).stem if is_remote(path) else Path(path).stem


def read_json(address: str) -> Any | None:
    """Fetch JSON; None where a server says that there is something else.

    Args:
        address: `https://`, or any other that fsspec knows and has the package for.

    Raises:
        SceneError: If nothing can be fetched, or it is not JSON.
    """
    shown = hide_query(address)
    try:
        text = _fetch(address) if address.startswith("http") else _fetch_object(address)
        return None if text is None else json.loads(text)
    except ImportError as error:
        raise SceneError(f"{shown!r} needs a package that is missing: {error}") from error
    except OSError as error:
        raise SceneError(
            f"{shown!r} cannot be fetched ({error}); check the address and your access to it"
        ) from error
    except ValueError as error:
        raise SceneError(f"{shown!r} is not JSON: {error}") from error


def _fetch(address: str) -> bytes | None:
    request = urllib.request.Request(  # noqa: S310 - the caller has seen that it is http
        address, headers={"Accept": "application/geo+json, application/json, */*;q=0.1"}
    )
    tries = int(os.environ.get("GDAL_HTTP_MAX_RETRY", SETTINGS["GDAL_HTTP_MAX_RETRY"]))
    pause = float(os.environ.get("GDAL_HTTP_RETRY_DELAY", SETTINGS["GDAL_HTTP_RETRY_DELAY"]))
    for left in range(tries, -1, -1):
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
                kind = answer.headers.get_content_type()
                named = hide_query(address).endswith("json")
                return bytes(answer.read()) if named or "json" in kind else None
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _BUSY or not left:
                raise
        except urllib.error.URLError:
            if not left:
                raise
        time.sleep(pause)
        pause *= 2
    raise AssertionError("the last try returns or raises")


def _fetch_object(address: str) -> bytes:
    import fsspec  # optional

    with fsspec.open(address, "rb") as stream:
        return bytes(stream.read())
