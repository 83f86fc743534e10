"""Which blocks of a scene's file are damaged, and how the rest is read all the same."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from landvisor.errors import DamageError
from landvisor.geo.rasters import RasterSource
from landvisor.geo.scene import MaskedSource, Pixels, Scene, Source
from landvisor.geo.tiling import Shape, Window, blocks_under

_BLOCK = (128, 512)  # GDAL's for warped rasters, through which band files are read


@dataclass(frozen=True)
class DamagedBlock:
    """A block of a scene that does not read, and what was said of it."""

    scene: str
    window: Window
    message: str


class Damage:
    """The damaged blocks of a scene that were met so far, each once, by any number of threads.

    Args:
        blocks: Those that are known already.
    """

    def __init__(self, blocks: Iterable[DamagedBlock] = ()) -> None:
        self._found = {block.window: block for block in blocks}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Damage], tuple[tuple[DamagedBlock, ...]]]:
        return Damage, (self.blocks,)

    @property
    def blocks(self) -> tuple[DamagedBlock, ...]:
        """The damaged blocks, from the first row on."""
        with self._lock:
            return tuple(self._found[window] for window in sorted(self._found))

    def add(self, block: DamagedBlock) -> None:
        """Note a block, unless it is known."""
        with self._lock:
            self._found.setdefault(block.window, block)

    def holds(self, window: Window) -> bool:
        """Tell whether exactly this block is known to be damaged."""
        return window in self._found

    def touches(self, window: Window) -> bool:
        """Tell whether a damaged block is known under a window."""
        return any(block.window.intersect(window) for block in self.blocks)


def tolerate(scene: Scene) -> tuple[Scene, Damage]:
    """Return the scene with damaged blocks as no data, and where they are noted when met.

    A file that cannot be opened at all is an error as before. Damage is what GDAL's decoder
    notices: some flipped bits in DEFLATE decode to other values without an error.

    Args:
        scene: The scene as it was opened, before it is warped.
    """
    damage = Damage()
    source = TolerantSource(scene, _find_block(scene.source), damage)
    return replace(scene, source=source, complete=False), damage


def find_damage(scene: Scene) -> tuple[DamagedBlock, ...]:
    """Return what was found damaged of a scene so far; nothing unless it is tolerated."""
    source: object = scene.source
    while not isinstance(source, TolerantSource):
        if not hasattr(source, "source"):
            return ()
        source = source.source  # something is done to the pixels of another source
    return source.damage.blocks


@dataclass(frozen=True)
class TolerantSource:
    """A scene whose damaged blocks are no data.

    Attributes:
        scene: What is read.
        block: Size of its file's blocks.
        damage: What was found damaged.
    """

    scene: Scene
    block: Shape
    damage: Damage

    def read(self, window: Window) -> Pixels:
        """Read a window at once, or block by block where one of them is damaged."""
        if not self.damage.touches(window):
            try:
                return self.scene.read(window)
            except DamageError:
                pass  # the blocks tell which of them it was
        return self._read_blocks(window)

    def _read_blocks(self, window: Window) -> Pixels:
        shape = (len(self.scene.bands), *window.shape)
        data, valid = np.zeros(shape, self.scene.dtype), np.zeros(window.shape, dtype=bool)
        for block in blocks_under(window, block=self.block, shape=self.scene.shape):
            part = block.intersect(window)
            assert part is not None, "the block lies under the window"
            found = None if self.damage.holds(block) else self._try(part, block)
            if found is not None:
                rows, cols = part.relative_to(window).slices
                data[:, rows, cols], valid[rows, cols] = found
        return Pixels(data, valid)

    def _try(self, part: Window, block: Window) -> Pixels | None:
        try:
            return self.scene.read(part)
        except DamageError as error:
            self.damage.add(DamagedBlock(self.scene.name, block, str(error)))
            return None


def _find_block(source: Source) -> Shape:
    if isinstance(source, MaskedSource):
        return _find_block(source.source)
    return source.block_shape() if isinstance(source, RasterSource) else _BLOCK
