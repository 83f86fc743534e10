"""How outputs reach the disk whole: aside, synced, renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from landvisor.errors import LandvisorError, OutputError

RECORD = "run.json"
"""Name of the record whose presence marks a folder as a finished output of landvisor."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# GDAL reports no errno, so a disk with less than this left counts as the cause of its failure.
_ALMOST_NOTHING = 16 << 20


Kind = Literal["file", "folder"]


def check_output(
    path: Path | str,
    *,
    overwrite: bool,
    kind: Kind | None = None,
    inputs: Iterable[object] = (),
    option: str = "--out",
) -> None:
    """Refuse an output that could not be published, before any work is done for it.

    An empty folder counts as free. With `overwrite`, a folder is replaced only if it holds
    `run.json`: a mistyped `--out` must never delete somebody's files.

    Args:
        path: Where the output shall go.
        overwrite: It may replace an earlier output.
        kind: What will be written there; None does not look at what is there now.
        inputs: What the run reads; what is no path of a file or folder is passed over.
        option: What the user named it with.

    Raises:
        OutputError: If it exists and may not be replaced, is of the other kind, is or holds an
            input, or its parent is missing or locked.
    """
    target = Path(path).absolute()
    _check_apart(target, inputs, option=option)
    parent = target.parent
    if not parent.is_dir():
        raise OutputError(f"{str(parent)!r} is not a folder; create it or change {option}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"folder {str(parent)!r} is not writable; change its rights or {option}")
    if _is_free(target):
        return
    if not overwrite:
        raise OutputError(f"{str(target)!r} exists already; add --overwrite or change {option}")
    if kind is not None and target.is_dir() != (kind == "folder"):
        found = "folder" if target.is_dir() else "file"
        raise OutputError(
            f"{str(target)!r} is a {found}, a {kind} is to be written; change {option}"
        )
    if target.is_dir() and not (target / RECORD).is_file():
        raise OutputError(
            f"{str(target)!r} holds files but no {RECORD}, so landvisor did not make it and "
            f"will not replace it; change {option}"
        )


def _check_apart(target: Path, inputs: Iterable[object], *, option: str) -> None:
    """Refuse an output that would replace what the run reads."""
    final = _resolve(target)
    for given in inputs:
        if isinstance(given, Path | str) and Path(given).exists():
            source = _resolve(given)
            if source == final or final in source.parents:
                raise OutputError(
                    f"{str(target)!r} is or holds the input {str(given)!r}, which would be lost; "
                    f"change {option}"
                )


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn what the system or GDAL says while `path` is written into one OutputError."""
    try:
        yield
    except LandvisorError:
        raise
    except _write_errors() as error:
        raise OutputError(_explain(error, Path(path))) from error


@contextmanager
def publish_directory(target: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to fill; it becomes `target` by renaming once the block ends well.

    The folder lies beside `target`, so that renaming moves no data. After an exception it is
    removed and `target` is as it was; after a kill only a hidden `.part` folder is left.

    Raises:
        OutputError: If `check_output` refuses, `target` is a file, or writing fails.
    """
    final = _resolve(target)
    check_output(final, overwrite=overwrite, kind="folder")
    with _staging(final) as staging:
        yield staging
        with writing(final):
            _sync_tree(staging)
            _put(staging, final, overwrite=overwrite)


@contextmanager
def publish_file(target: Path | str, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a path of the same name to write; it becomes `target` once the block ends well.

    It lies in a folder of its own beside `target`: what a driver leaves next to it is dropped.

    Raises:
        OutputError: If `check_output` refuses, `target` is a folder, or writing fails.
    """
    final = _resolve(target)
    check_output(final, overwrite=overwrite, kind="file")
    if final.is_dir():
        raise OutputError(f"{str(final)!r} is a folder, a file is to be written; change --out")
    with _staging(final) as staging:
        yield staging / final.name
        with writing(final):
            _sync(staging / final.name)
            check_output(final, overwrite=overwrite)
            (staging / final.name).replace(final)
            _sync(final.parent)


@contextmanager
def work_folder(out: Path | str | None) -> Iterator[Path]:
    """Yield a folder for caches and checkpoints; what a killed run leaves, the next one finds.

    It is hidden beside `out` and removed once the block ends well, or if it is still empty when
    the block fails; None gives a temporary one. It belongs to one process at a time.

    Raises:
        OutputError: If it cannot be made, or another process works in it.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="landvisor-") as temporary:
            yield Path(temporary)
        return
    final = _resolve(out)
    folder = final.with_name(f".{final.name}.work")
    with writing(folder):
        folder.mkdir(exist_ok=True)
    with _hold(folder / ".lock", final):
        try:
            with _named_as(folder, final, whole=True):
                yield folder
        except BaseException:
            _drop_if_empty(folder)  # what is there to go on from stays
            raise
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _hold(lock: Path, final: Path) -> Iterator[None]:
    """Keep other processes out; the system lets go of what a killed one held."""
    with writing(lock):
        stream = lock.open("ab")
    with stream:
        if not lock_file(stream.fileno()) or not lock.exists():  # gone once the other run is done
            raise OutputError(
                f"another run is writing {str(final)!r}; wait for it, or change --out"
            )
        yield


def lock_file(number: int) -> bool:
    """Lock an open file for this process until it is closed; False if another one holds it."""
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _drop_if_empty(folder: Path) -> None:
    if not [path for path in folder.iterdir() if path.name != ".lock"]:
        shutil.rmtree(folder, ignore_errors=True)


def hash_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON that any reader accepts: NaN and infinity become null, arrays become lists.

    Raises:
        OutputError: If the disk is full or the path cannot be written.
    """
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    with writing(path):
        Path(path).write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, without importing numpy
        return _plain(value.tolist())
    return value


def _resolve(target: Path | str) -> Path:
    # A link is followed, so that renaming replaces what it points to and not the link.
    return Path(target).resolve()


def _is_free(target: Path) -> bool:
    if not os.path.lexists(target):
        return True
    return target.is_dir() and not any(target.iterdir())


def _aside(final: Path, kind: str) -> Path:
    return final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.{kind}")


@contextmanager
def _staging(final: Path) -> Iterator[Path]:
    staging = _aside(final, "part")
    with writing(staging):
        staging.mkdir()
    try:
        with _named_as(staging, final):
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _named_as(hidden: Path, final: Path, *, whole: bool = False) -> Iterator[None]:
    """Let failures name the output: nobody knows of the hidden folder where it is made.

    With `whole`, a file in the hidden folder is called by the name of the output as well.
    """
    try:
        yield
    except OutputError as error:
        inside = r"[^'\"]*" if whole else ""
        said = re.sub(re.escape(str(hidden)) + inside, lambda _: str(final), str(error))
        raise OutputError(said) from error
    except OSError as error:
        # Any code may run inside: only a full disk is surely about the output.
        if isinstance(error, LandvisorError) or error.errno not in _FULL:
            raise
        raise OutputError(_explain(error, final)) from error


def _put(staging: Path, final: Path, *, overwrite: bool) -> None:
    check_output(final, overwrite=overwrite)  # someone may have written it meanwhile
    old = _aside(final, "old")
    replaces = final.exists()
    if replaces:
        final.rename(old)
    try:
        staging.rename(final)
    except BaseException:
        if replaces:
            old.rename(final)
        raise
    _sync(final.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open a folder, and needs no sync of it
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_errors() -> tuple[type[Exception], ...]:
    from rasterio._err import CPLE_BaseError  # slow; evaluated only once something failed
    from rasterio.errors import RasterioError

    return OSError, CPLE_BaseError, RasterioError


def _explain(error: Exception, path: Path) -> str:
    full = isinstance(error, OSError) and error.errno in _FULL
    free = _free_bytes(path)
    first: BaseException = error
    while first.__cause__ is not None:  # rasterio says "see previous exception", which is GDAL's
        first = first.__cause__
    reason = (str(first) or type(first).__name__).splitlines()[0].rstrip(".")
    if full or free < _ALMOST_NOTHING:
        return (
            f"disk full while writing {str(path)!r} ({free / 1e6:.0f} MB left; {reason}); "
            "free some space or write to another disk with --out"
        )
    return (
        f"cannot write {str(path)!r}: {reason}; check the folder's rights and the "
        f"{free / 1e6:.0f} MB left on its disk, or change --out"
    )


def _free_bytes(path: Path) -> int:
    for folder in path.absolute().parents:
        if folder.is_dir():
            return shutil.disk_usage(folder).free
    return 0
