"""What training changes about its process, and puts back."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from lightning.pytorch.utilities.warnings import PossibleUserWarning
from torch.utils import deterministic


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM through as what they are.

    Lightning turns the first into an exit and then ignores it for good, and the second into an
    exit that reports success.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)
        if isinstance(error, SIGTERMException):
            raise SystemExit(128 + signal.SIGTERM) from error
        raise KeyboardInterrupt from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep lightning's talk about hardware, tips and workers from our users."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # chips come from memory maps: a worker would copy more than it computes
        warnings.simplefilter("ignore", PossibleUserWarning)
        # what lightning itself calls of newer torch is nothing that our users could mend
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"lightning\.")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def exact() -> Iterator[None]:
    """Make sums come in one order: scattered gradients are otherwise added as threads finish."""
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    # an accelerator lacks exact kernels for some operations: there it is as exact as it can be
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
