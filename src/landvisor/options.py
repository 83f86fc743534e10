"""What surrounds a run besides its recipe: how inputs are read, what may be replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from landvisor.errors import RecipeError
from landvisor.files import Kind, check_output
from landvisor.geo.rasters import Reading
from landvisor.ranks import Ranks, find_ranks
from landvisor.remote import is_remote
from landvisor.upload import check_upload

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Options:
    """What surrounds a run besides its recipe.

    Attributes:
        reading: No-data and area of interest.
        class_column: Column of the points with the class; found by its name by default.
        crs: CRS of points whose file does not say.
        legend: A `legend.toml`; the collection's or the points' own by default.
        grown: A label raster that link or grow made, or a folder of them, to learn from too.
        unlabelled: More imagery without labels, for a network's teacher to speak of.
        split: Splits of the collection to use, joined by commas; None uses all.
        val_split: Split whose labelled places choose the model; spatial blocks by default.
        overwrite: Replace an existing output.
        progress: Show progress on stderr while training.
        logger: What `fit` leaves of a network's training beside the model: `csv`, a table
            `model.metrics.csv`; `tensorboard`, events in `model.tensorboard`; or `none`.
        devices: Devices of each machine that `fit` trains a network on; None is 1, or what
            torchrun was told.
        nodes: Machines that `fit` trains a network on; None is 1, or what torchrun was told.
        workers: Processes on this machine that predict side by side; None predicts in this one.
        dask: Address of a Dask scheduler whose workers predict, as in `tcp://10.0.0.1:8786`.
        on_pixels: Called with (pixels done, pixels in all) while predicting.

    Raises:
        RecipeError: If both `workers` and `dask` say who predicts.
    """

    reading: Reading = field(default_factory=Reading)
    class_column: str | None = None
    crs: str | None = None
    legend: Path | None = None
    grown: Path | None = None
    unlabelled: Path | str | None = None
    split: str | None = None
    val_split: str | None = None
    overwrite: bool = False
    progress: bool = False
    logger: Literal["csv", "tensorboard", "none"] = "csv"
    devices: int | None = None
    nodes: int | None = None
    workers: int | None = None
    dask: str | None = None
    on_pixels: Progress | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.dask is not None:
            raise RecipeError(
                f"--workers {self.workers} starts processes here and --dask {self.dask!r} names "
                "those of a cluster; leave one out"
            )

    @property
    def ranks(self) -> Ranks:
        """Which of the processes that train together this one is.

        Raises:
            RecipeError: If devices and nodes are not those that torchrun or SLURM started.
        """
        return find_ranks(self.devices, self.nodes, environ=os.environ)

    def check_alone(self) -> None:
        """Refuse several training processes where fitting is not all that is done.

        Raises:
            RecipeError: If there is more than one.
        """
        if (count := self.ranks.count) > 1:
            raise RecipeError(
                f"map works alone, and {count} processes were asked for; train with fit, then "
                "predict with the model"
            )

    def check_out(
        self,
        out: Path | str,
        *,
        kind: Kind | None = None,
        read: Sequence[object] = (),
        option: str = "--out",
    ) -> None:
        """Refuse an output that cannot be published or would replace what the run reads.

        Args:
            out: Where the output shall go.
            kind: What will be written there; None does not look at what is there now.
            read: What is read besides what these options name; what is no path is passed over.
            option: What the user named it with.

        Raises:
            OutputError: See `files.check_output`.
        """
        if is_remote(out):
            check_upload(out, overwrite=self.overwrite)
            return
        inputs = [*read, self.grown, self.unlabelled, self.legend, self.reading.aoi]
        check_output(out, overwrite=self.overwrite, kind=kind, inputs=inputs, option=option)
