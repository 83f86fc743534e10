"""In how many parts a batch is computed, found by running out of memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch

from landvisor.errors import RecipeError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Portions:
    """Cuts batches into as many parts as a device's memory asks for.

    Args:
        count: Parts to begin with.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def run(self, work: Callable[[list[slice]], T], chips: int) -> T:
        """Do work in parts; again, in twice as many, for as long as memory runs out.

        Args:
            work: Is given the parts of a batch, and begins anew each time it is called.
            chips: How many the batch has.

        Raises:
            RecipeError: If memory does not suffice for a single chip.
        """
        while True:
            try:
                return work(cut(chips, self.count))
            except torch.OutOfMemoryError as error:
                if self.count >= chips:
                    raise RecipeError(
                        "memory of the device does not suffice for a single chip; lower fit.chip "
                        "or choose a smaller network"
                    ) from error
            # only here are the tensors gone that the error held
            self.count = min(2 * self.count, chips)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            log.warning(
                "memory of the device does not suffice for %d chips at once: their gradients are "
                "summed over %d parts of the batch; batch norm sees one part at a time",
                chips,
                self.count,
            )


def cut(chips: int, parts: int) -> list[slice]:
    """Cut `chips` into at most so many parts, of sizes that differ by one at most."""
    edges = [chips * part // parts for part in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(edges) if b > a]
