"""How many threads compute: sums depend on it in their last digits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let torch and the linear algebra below it compute in so many threads for a while."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        try:
            yield
        finally:
            torch.set_num_threads(before)
