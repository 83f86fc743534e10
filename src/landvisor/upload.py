"""How a finished folder reaches an object store: every file, and the record of the run last."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from landvisor.errors import LandvisorError, OutputError
from landvisor.files import RECORD, publish_directory, writing
from landvisor.remote import is_remote, restore_address

UNFINISHED = "upload-unfinished"
"""Name of the object that marks an upload as begun; it goes when the record is there."""

_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "abfss": "adlfs"}
_STORES = (*_PACKAGES, "memory")


def check_upload(url: Path | str, *, overwrite: bool) -> None:
    """Refuse an address that could not be uploaded to, before any work is done for it.

    An upload that was begun and not ended counts as free. With `overwrite`, a finished one is
    replaced only if it holds `run.json`, as `files.check_output` has it for folders.

    Args:
        url: A folder in an object store: `s3://`, `gs://`, `az://` or `abfs://`.
        overwrite: It may replace an earlier output.

    Raises:
        OutputError: If it exists and may not be replaced, cannot be reached, or its package is
            not installed.
    """
    _Target.open(url).check(overwrite=overwrite)


def upload_folder(folder: Path, url: Path | str, *, overwrite: bool = False) -> None:
    """Copy a finished folder to an object store, so that all of it or no `run.json` is there.

    A mark goes first; then the old record is removed, all other files are put and their sizes
    compared, what the folder lacks is removed, and the record is put. After a cut, the same call
    begins anew.

    Args:
        folder: Holds `run.json`.
        url: See `check_upload`.
        overwrite: It may replace an earlier output.

    Raises:
        OutputError: If `check_upload` refuses, the folder is not finished, or the store fails.
    """
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
    if RECORD not in files:
        raise OutputError(f"{str(folder)!r} holds no {RECORD}, so it is not finished; run it again")
    record = files.pop(RECORD)
    target = _Target.open(url)
    old = target.check(overwrite=overwrite)
    with _talking_to(target.url):
        target.system.pipe_file(target.name(UNFINISHED), b"the record is put when all is there\n")
        if RECORD in old:
            target.system.rm_file(target.name(RECORD))
        for name, file in sorted(files.items()):
            target.system.put_file(str(file), target.name(name))
        for name in sorted(set(old) - set(files) - {RECORD, UNFINISHED}):
            target.system.rm_file(target.name(name))
        target.compare(files)
        target.system.put_file(str(record), target.name(RECORD))
        target.system.rm_file(target.name(UNFINISHED))


def find_anchor(out: Path | str) -> Path:
    """Return beside what path the work for an output is done: in this folder, if it is remote."""
    if not is_remote(out):
        return Path(out)
    address = restore_address(out).rstrip("/")
    return Path(re.sub(r"[^\w.-]+", "-", address))


@contextmanager
def publish_folder(out: Path | str, *, work: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield a folder to fill, which becomes `out` once the block ends well, be that far away.

    Args:
        out: A folder on the disk (see `landvisor.files.publish_directory`) or in an object store.
        work: Where what is to be uploaded is made.
        overwrite: It may replace an earlier output.

    Raises:
        OutputError: If it cannot be written.
    """
    if not is_remote(out):
        with publish_directory(out, overwrite=overwrite) as folder:
            yield folder
        return
    folder = work / "upload"
    shutil.rmtree(folder, ignore_errors=True)
    with writing(folder):
        folder.mkdir()
    yield folder
    upload_folder(folder, out, overwrite=overwrite)


@dataclass(frozen=True)
class _Target:
    """A folder of an object store: its address, fsspec's file system, and the path in it."""

    url: str
    system: Any
    root: str

    @classmethod
    def open(cls, url: Path | str) -> _Target:
        address = restore_address(url).rstrip("/")
        scheme = address.partition("://")[0]
        if scheme not in _STORES:
            raise OutputError(
                f"{address!r} is no folder that can be uploaded to; need one of "
                f"{', '.join(f'{store}://' for store in _PACKAGES)}"
            )
        import fsspec.core  # optional

        with _talking_to(address):
            return cls(address, *fsspec.core.url_to_fs(address))

    def name(self, part: str) -> str:
        return f"{self.root.rstrip('/')}/{part}"

    def check(self, *, overwrite: bool) -> dict[str, int]:
        """Refuse a target that may not be replaced, else list the sizes of what is there."""
        found = self.sizes()
        if not found or UNFINISHED in found:
            return found
        if RECORD not in found:
            raise OutputError(
                f"{self.url!r} holds files but no {RECORD}, so landvisor did not make it and will "
                "not replace it; change --out"
            )
        if not overwrite:
            raise OutputError(f"{self.url!r} exists already; add --overwrite or change --out")
        return found

    def sizes(self) -> dict[str, int]:
        """Return the bytes of every object below the folder, by its name there."""
        with _talking_to(self.url):
            self.system.invalidate_cache()
            found = self.system.find(self.root, detail=True)
        return {path[len(self.name("")) :]: info["size"] for path, info in found.items()}

    def compare(self, files: dict[str, Path]) -> None:
        """Check that each file is there with all its bytes."""
        there = self.sizes()
        for name, file in sorted(files.items()):
            if there.get(name) != file.stat().st_size:
                raise OutputError(
                    f"{self.url}/{name} has {there.get(name, 0)} bytes after the upload, need "
                    f"{file.stat().st_size}; run it again"
                )


@contextmanager
def _talking_to(url: str) -> Iterator[None]:
    """Turn what a store says into one OutputError; each has exceptions of its own."""
    scheme = url.partition("://")[0]
    try:
        yield
    except LandvisorError:
        raise
    except ImportError as error:
        package = _PACKAGES.get(scheme, "fsspec")
        raise OutputError(
            f"{scheme}:// needs the package {package}, which is missing; pip install {package}"
        ) from error
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise OutputError(
            f"cannot write {url!r}: {reason}; check the address, the network and your rights"
        ) from error
