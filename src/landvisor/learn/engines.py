"""What computes a network's logits, or an encoder's maps, of normalised images."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.learn.device import run_module


class Engine(Protocol):
    """Computes one module; several threads may ask at once."""

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """Compute what the module makes of images.

        Args:
            image: float32 `[b, band, row, col]`, normalised; rows and columns are multiples of
                what the module reads.

        Returns:
            The module's maps `[b, channel, h, w]`; a network has one, its logits.
        """
        ...


@dataclass(frozen=True)
class TorchEngine:
    """The module itself, on the device where it lies.

    Attributes:
        module: In evaluation mode.
        bf16: Multiply in bfloat16.
    """

    module: nn.Module
    bf16: bool

    def run(self, image: Tensor) -> tuple[Tensor, ...]:
        """See `Engine.run`; what bfloat16 computes comes back as bfloat16."""
        return run_module(self.module, image, bf16=self.bf16)


def import_package(name: str, *, extra: str) -> Any:
    """Import an optional package.

    Args:
        name: Of the package.
        extra: Which of landvisor's extras installs it.

    Raises:
        ModelError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ModelError(
            f"the package {name!r} is needed and not installed; pip install 'landvisor[{extra}]'"
        ) from error
