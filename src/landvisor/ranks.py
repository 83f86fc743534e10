"""Which of several processes that train one network together this one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from landvisor.errors import RecipeError

Starter = Literal["landvisor", "torchrun", "slurm"]


@dataclass(frozen=True)
class Ranks:
    """A process among those that train together.

    Attributes:
        devices: Processes on each machine, one for each of its devices.
        nodes: Machines.
        index: Of this process, 0 to `count` - 1.
        starter: Who starts the processes.
    """

    devices: int = 1
    nodes: int = 1
    index: int = 0
    starter: Starter = "landvisor"

    @property
    def count(self) -> int:
        """Processes in all."""
        return self.devices * self.nodes

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which alone writes files and talks."""
        return self.index == 0

    @property
    def local(self) -> int:
        """Position of this process on its machine."""
        return self.index % self.devices

    def share_out(self, batch_size: int) -> range:
        """Return which chips of a batch are this process's: shares differ by one at most."""
        first, last = (batch_size * end // self.count for end in (self.index, self.index + 1))
        return range(first, last)


ALONE = Ranks()
"""The only process there is."""


def find_ranks(devices: int | None, nodes: int | None, *, environ: Mapping[str, str]) -> Ranks:
    """Find out which process this is.

    Args:
        devices: Devices of each machine to use; None is 1, or what torchrun was told.
        nodes: Machines to use; None is 1, or what torchrun was told.
        environ: Variables of the process, where torchrun and SLURM leave theirs.

    Raises:
        RecipeError: If these numbers are not what torchrun or srun was told, or several machines
            are asked for and nobody starts processes there.
    """
    if "TORCHELASTIC_RUN_ID" in environ:
        return _read_torchrun(devices, nodes, environ)
    asked = Ranks(devices or 1, nodes or 1)
    if asked.count == 1:
        return asked
    if "SLURM_PROCID" in environ and "SLURM_STEP_ID" in environ:
        return _read_slurm(asked, environ)
    if asked.nodes > 1 and not {"NODE_RANK", "MASTER_ADDR"} <= set(environ):
        raise RecipeError(
            f"--nodes {asked.nodes} needs a process on each of them; start with srun or torchrun, "
            "or set MASTER_ADDR, MASTER_PORT and NODE_RANK there"
        )
    index = int(environ.get("NODE_RANK", 0)) * asked.devices + int(environ.get("LOCAL_RANK", 0))
    return Ranks(asked.devices, asked.nodes, index)


def _read_torchrun(devices: int | None, nodes: int | None, environ: Mapping[str, str]) -> Ranks:
    started, local = int(environ["WORLD_SIZE"]), int(environ["LOCAL_WORLD_SIZE"])
    found = Ranks(local, max(started // local, 1), int(environ["RANK"]), "torchrun")
    if found.count != started or devices not in (None, local) or nodes not in (None, found.nodes):
        raise RecipeError(
            f"torchrun started {started} processes, {local} of them here; --devices and --nodes "
            "must say the same or be left out, and every machine needs as many"
        )
    return found


def _read_slurm(asked: Ranks, environ: Mapping[str, str]) -> Ranks:
    started = int(environ.get("SLURM_NTASKS", 1))
    if started != asked.count or "SLURM_NTASKS_PER_NODE" not in environ:
        raise RecipeError(
            f"srun started {started} tasks, --devices {asked.devices} and --nodes {asked.nodes} "
            f"make {asked.count}; give srun --ntasks-per-node={asked.devices} "
            f"--nodes={asked.nodes}"
        )
    return Ranks(asked.devices, asked.nodes, int(environ["SLURM_PROCID"]), "slurm")
