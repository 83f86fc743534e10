"""What a prediction has done so far: a killed one goes on from there.

The journal is a text file of one JSON object a line. The first line says what all results follow
from; each other one names a finished file, with its length and SHA-256. A line is written once
the file lies on the disk under its name, so what the journal names was whole at that time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from landvisor.files import hash_file, writing

log = logging.getLogger(__name__)

_NAME = "journal.jsonl"


class Journal:
    """The finished files of a folder; a journal of other circumstances is thrown away.

    Args:
        folder: Held by nobody else; made if it is missing.
        circumstances: All that results follow from, as plain values by name.

    Raises:
        OutputError: If the folder cannot be written.
    """

    def __init__(self, folder: Path, circumstances: Mapping[str, Any]) -> None:
        self.folder = folder.resolve()
        self._path = self.folder / _NAME
        self._known: dict[str, dict[str, Any]] = {}
        lines = _read_lines(self._path)
        before = lines[0] if lines else None
        now = json.loads(json.dumps(dict(circumstances)))
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if before is not None and before != now:
                log.warning("starting anew: %s", _tell_change(before, now))
            if before != now:
                _empty(self.folder)
                _append(self._path, now)
                return
            # A torn line would spoil the next one.
            _rewrite(self._path, lines)
        self._known = {line["file"]: line for line in lines[1:]}

    def __len__(self) -> int:
        return len(self._known)

    def count(self, folder: str) -> int:
        """Count the finished files below a folder of the folder."""
        return sum(name.startswith(f"{folder}/") for name in self._known)

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder, and note that it is there."""
        path = self.folder / name
        aside = path.with_name(f"{path.name}.part")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
        self._note(name, len(content), hashlib.sha256(content).hexdigest())

    def note(self, path: Path) -> None:
        """Note that a file of the folder is finished."""
        name = path.relative_to(self.folder).as_posix()
        with writing(path), path.open("rb+") as stream:
            os.fsync(stream.fileno())
        self._note(name, path.stat().st_size, hash_file(path))

    def holds(self, file: Path | str) -> bool:
        """Tell whether a file of the folder was finished and is still as it was then."""
        path = self.folder / file
        known = self._known.get(path.relative_to(self.folder).as_posix())
        if known is None or not path.is_file() or path.stat().st_size != known["bytes"]:
            return False
        return hash_file(path) == str(known["sha256"])

    def read(self, name: str) -> bytes | None:
        """Return a file of the folder; None unless it was finished and is still as it was then."""
        known, path = self._known.get(name), self.folder / name
        if known is None or not path.is_file():
            return None
        content = path.read_bytes()
        return content if hashlib.sha256(content).hexdigest() == known["sha256"] else None

    def drop_if_empty(self) -> None:
        """Remove the folder if nothing was finished."""
        if not self._known:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, name: str, length: int, digest: str) -> None:
        line = {"file": name, "bytes": length, "sha256": digest}
        with writing(self._path):
            _append(self._path, line)
        self._known[name] = line


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Return what a journal says up to a line that is torn."""
    lines: list[dict[str, Any]] = []
    if not path.is_file():
        return lines
    for text in path.read_bytes().split(b"\n")[:-1]:
        try:
            line = json.loads(text)
        except ValueError:
            break
        if not isinstance(line, dict) or (lines and not {"file", "bytes", "sha256"} <= set(line)):
            break
        lines.append(line)
    return lines


def _append(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("ab") as stream:
        stream.write(json.dumps(line).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _rewrite(path: Path, lines: list[dict[str, Any]]) -> None:
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    if text != path.read_bytes():
        aside = path.with_name(f"{path.name}.part")
        aside.write_bytes(text)
        aside.replace(path)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _tell_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name what is not as it was when the journal was begun."""
    changed = [key for key in now if before.get(key) != now[key]]
    return f"{' and '.join(changed) or 'the journal'} changed since the last attempt"
