"""How a scene is cut into blocks, predicted in runs of them, and kept until the map is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from landvisor.errors import OutputError
from landvisor.geo.coding import count_extra, encode_map
from landvisor.geo.legend import Legend
from landvisor.geo.tiling import Shape, Window
from landvisor.journal import Journal
from landvisor.predict.stream import MapRows

Coded = tuple[Window, NDArray[np.uint8]]
"""A block and its planes `[plane, row, col]`, as `landvisor.geo.coding.encode_map` makes them."""

BLOCKS = "blocks"
"""Folder of the journal's that holds them."""

_LENGTH = np.dtype("<u8")


def plan_runs(missing: Iterable[Window], *, most: int | None = None) -> list[list[Window]]:
    """Group missing blocks into runs that lie below each other without a gap.

    Windows across the border of two blocks are predicted once where both are of one run.

    Args:
        missing: Blocks that `landvisor.geo.tiling.split_blocks` made, in any order.
        most: Blocks in a run; as many as there are by default.
    """
    runs: list[list[Window]] = []
    for block in sorted(missing, key=lambda block: (block.col, block.row)):
        last = runs[-1][-1] if runs else None
        follows = last is not None and (last.col, last.row + last.rows) == (block.col, block.row)
        if follows and (most is None or len(runs[-1]) < most):
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def find_area(run: Sequence[Window]) -> Window:
    """Return the area that the blocks of a run make up."""
    rows = sum(block.rows for block in run)
    return Window(run[0].row, run[0].col, rows, run[0].cols)


def cut_blocks(
    parts: Iterable[MapRows],
    run: Sequence[Window],
    *,
    legend: Legend,
    disagreement: bool = False,
) -> Iterator[Coded]:
    """Code predicted rows, and yield the blocks of a run one after the other.

    Args:
        parts: From the first row on.
        run: Blocks that lie below each other.
        legend: Its active classes are those of the probabilities.
        disagreement: The rows know how much models disagree.

    Raises:
        OutputError: If a valid pixel's probability is not a number of 0 to 1.
    """
    waiting = iter(run)
    block = next(waiting)
    count = count_extra(disagreement=disagreement) + len(legend.ids)
    planes = _make_planes(block, count)
    for part in parts:
        codes = encode_map(
            part.probabilities,
            part.valid,
            ids=legend.ids,
            nodata=legend.nodata,
            window=part.window,
            disagreement=part.disagreement,
        )
        row, last = part.window.row, part.window.row + part.window.rows
        while row < last:
            end = min(last, block.row + block.rows)
            taken = codes[:, row - part.window.row : end - part.window.row]
            planes[:, row - block.row : end - block.row] = taken
            row = end
            if row == block.row + block.rows:
                yield block, planes
                following = next(waiting, None)
                if following is None:
                    return
                block, planes = following, _make_planes(following, count)


def _make_planes(block: Window, count: int) -> NDArray[np.uint8]:
    return np.empty((count, *block.shape), dtype=np.uint8)


class BlockStore:
    """The finished blocks of one map, as files that a journal names.

    Args:
        journal: Of the folder.
        stem: Name of the map.
        blocks: All that the map is made of.
        legend: Its active classes are the map's.
        disagreement: Blocks hold how much models disagree.
    """

    def __init__(
        self,
        journal: Journal,
        stem: str,
        *,
        blocks: Sequence[Window],
        legend: Legend,
        disagreement: bool = False,
    ) -> None:
        self._journal = journal
        self.stem = stem
        self._blocks = blocks
        self.legend = legend
        self.disagreement = disagreement
        self._planes = count_extra(disagreement=disagreement) + len(legend.ids)

    @property
    def count(self) -> int:
        """How many blocks the map is made of."""
        return len(self._blocks)

    @property
    def pixels(self) -> int:
        """How many pixels the map has."""
        return sum(block.size for block in self._blocks)

    def find_missing(self) -> list[Window]:
        """List the blocks that are not there, or not as they were written."""
        return [block for block in self._blocks if not self._journal.holds(self._name(block))]

    def write(self, block: Window, content: bytes) -> None:
        """Keep a block as `pack` made it."""
        self._journal.write(self._name(block), content)

    def read(self, planes: slice) -> Iterator[Coded]:
        """Yield all blocks with the asked planes.

        Raises:
            OutputError: If one is missing or damaged.
        """
        for block in self._blocks:
            name = self._name(block)
            content = self._journal.read(name)
            if content is None:
                raise OutputError(
                    f"block {name!r} of the map was lost or damaged on the disk after it was "
                    "written; run the same command again, which makes it anew"
                )
            yield block, unpack(content, block.shape, self._planes, planes=planes)

    def drop(self) -> None:
        """Remove the blocks: the map has been made of them."""
        shutil.rmtree(self._journal.folder / BLOCKS / self.stem, ignore_errors=True)

    def _name(self, block: Window) -> str:
        return f"{BLOCKS}/{self.stem}/{block.row}-{block.col}"


def pack(planes: NDArray[np.uint8]) -> bytes:
    """Compress the planes `[plane, row, col]` of a block, each on its own."""
    codec = pa.Codec("zstd", compression_level=1)
    parts = [codec.compress(np.ascontiguousarray(p).data, asbytes=True) for p in planes]
    lengths = np.array([len(part) for part in parts], dtype=_LENGTH)
    return b"".join([lengths.tobytes(), *parts])


def unpack(content: bytes, shape: Shape, count: int, *, planes: slice) -> NDArray[np.uint8]:
    """Return some of the `count` planes `[plane, row, col]` of a block that `pack` compressed."""
    lengths = np.frombuffer(content, dtype=_LENGTH, count=count)
    ends = lengths.cumsum() + lengths.nbytes
    codec, size = pa.Codec("zstd"), shape[0] * shape[1]
    parts = [
        codec.decompress(content[end - length : end], decompressed_size=size, asbytes=True)
        for end, length in zip(ends[planes].tolist(), lengths[planes].tolist(), strict=True)
    ]
    return np.stack([np.frombuffer(part, dtype=np.uint8).reshape(shape) for part in parts])
