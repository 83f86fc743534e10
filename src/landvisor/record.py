"""What a run was: its command, inputs by hash, software and time."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from landvisor.files import RECORD, hash_file, write_json

_PACKAGES = (
    "landvisor",
    "numpy",
    "torch",
    "rasterio",
    "scikit-learn",
    "timm",
    "segmentation-models-pytorch",
    "lightning",
)


def command_line() -> list[str]:
    """Return the command that is running, its program by name alone."""
    return [Path(sys.argv[0]).name or "python", *sys.argv[1:]]


def run_record(
    command: Sequence[str],
    *,
    seed: int,
    recipe: Mapping[str, Any],
    inputs: Mapping[str, Path | str],
    started: datetime,
    outputs: Path | None = None,
) -> dict[str, Any]:
    """Describe a run: what was asked, from what, with which software, and when.

    Args:
        command: The command line, argument by argument.
        seed: The number that all randomness follows from.
        recipe: All choices, as `Recipe.model_dump()` gives them.
        inputs: What was read, by its role (`scene`, `points`, …); only files are hashed.
        started: When the run began, with its time zone.
        outputs: A filled folder whose files are hashed by name, or None.
    """
    finished = datetime.now(UTC)
    return {
        "command": list(command),
        "seed": seed,
        "recipe": dict(recipe),
        "inputs": {role: _describe(path) for role, path in inputs.items()},
        "outputs": _hash_files(outputs) if outputs is not None else {},
        "versions": find_versions(),
        "platform": {"system": platform.platform(), "machine": platform.machine()},
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "seconds": round((finished - started).total_seconds(), 1),
    }


def _describe(path: Path | str) -> dict[str, Any]:
    file = Path(path)
    if not file.is_file():
        return {"path": str(path), "sha256": None, "bytes": None}
    return {"path": str(path), "sha256": hash_file(file), "bytes": file.stat().st_size}


def _hash_files(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def write_record(
    folder: Path,
    *,
    seed: int,
    recipe: Mapping[str, Any],
    inputs: Mapping[str, Path | str],
    started: datetime,
) -> None:
    """Write `run.json`, the commit record of a filled folder: this command, and what it made.

    Args:
        folder: Its files are hashed.
        seed: See `run_record`, as for the rest.
        recipe: All choices.
        inputs: What was read, by its role.
        started: When the run began.
    """
    record = run_record(
        command_line(), seed=seed, recipe=recipe, inputs=inputs, started=started, outputs=folder
    )
    write_json(folder / RECORD, record)


def find_versions() -> dict[str, str | None]:
    """Return the version of each piece of software that results may depend on."""
    import rasterio  # slow, and no command's help needs it

    found: dict[str, str | None] = {"python": platform.python_version()}
    found["gdal"] = str(rasterio.__gdal_version__)
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found
