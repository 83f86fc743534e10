"""Who is at work: locks that the system takes back from whoever dies."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from landvisor.files import lock_file, writing

_LOOK = 0.1  # seconds between looks at whether a lock is free
_SILENCE = 120.0  # seconds without a heartbeat after which a runner elsewhere counts as dead


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Wait until nobody else holds a lock, then hold it; the file stays."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        while not lock_file(stream.fileno()):
            time.sleep(_LOOK)
        yield


@dataclass(frozen=True)
class Runner:
    """Somebody who runs studies in a folder.

    Attributes:
        home: The folder.
        name: Host and a random number, as a lease holds it.
    """

    home: Path
    name: str

    def is_dead(self, owner: str, heartbeat: float) -> bool:
        """Tell whether the owner of a lease will not end it.

        On this host the system tells; elsewhere its silence does.
        """
        host, _, number = owner.rpartition("/")
        if host != platform.node():
            return time.time() - heartbeat > _SILENCE
        if owner == self.name:
            return False
        try:
            with (_folder(self.home) / number).open("rb+") as stream:
                return lock_file(stream.fileno())
        except FileNotFoundError:
            return True


@contextmanager
def register(home: Path) -> Iterator[Runner]:
    """Yield a runner that others can see is alive, for as long as the block lasts."""
    folder = _folder(home)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    number = uuid.uuid4().hex
    path = folder / number
    with path.open("ab") as stream:
        assert lock_file(stream.fileno()), "nobody knows of the file yet"
        _sweep(folder)
        try:
            yield Runner(home, f"{platform.node()}/{number}")
        finally:
            path.unlink(missing_ok=True)


def _folder(home: Path) -> Path:
    return home / "runners"


def _sweep(folder: Path) -> None:
    """Remove what runners left that were killed."""
    for path in folder.iterdir():
        try:
            with path.open("rb+") as stream:
                if lock_file(stream.fileno()):
                    path.unlink()
        except FileNotFoundError:
            continue
