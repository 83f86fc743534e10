"""On which device, and in which precision, a network runs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from landvisor.learn.nets import Network, Stage
from landvisor.learn.processor import quicken
from landvisor.ranks import Ranks


def find_device() -> torch.device:
    """Return the accelerator if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def claim_device(ranks: Ranks) -> None:
    """Give each of the processes on a machine an accelerator of its own, if there are any."""
    if ranks.count > 1 and torch.cuda.is_available():
        torch.cuda.set_device(ranks.local)


def uses_bf16(precision: str, device: torch.device) -> bool:
    """Decide whether to compute in bfloat16.

    Args:
        precision: `fp32`, `bf16`, or `auto`: where the hardware multiplies bfloat16 itself, since
            elsewhere it is emulated, several times slower than float32.
        device: Where the network runs.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_capabilities().get("avx512_bf16", False))


def place_network(network: Network, device: torch.device) -> Network:
    """Move a network to a device, its weights laid out as convolutions read them fastest."""
    if device.type == "cpu":
        quicken(network)
    # torch's stubs lack the overload with a memory format alone
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def run_network(network: Network, image: Tensor, *, bf16: bool) -> Tensor:
    """Compute logits `[b, class, h, w]` of normalised images `[b, band, row, col]`.

    Args:
        network: As `place_network` left it.
        image: float32, on any device.
        bf16: Multiply in bfloat16; what comes after the logits stays in float32.
    """
    (logits,) = run_module(network, image, bf16=bf16)
    return logits


def run_module(module: nn.Module, image: Tensor, *, bf16: bool) -> tuple[Tensor, ...]:
    """Compute what any module makes of images, as `run_network` does: one map or several."""
    with _precision(module, bf16=bf16):
        found = module(_bring(image, module))
    return (found,) if isinstance(found, Tensor) else tuple(found)


def run_stages(network: Network, image: Tensor, *, bf16: bool) -> tuple[Stage, ...]:
    """Compute logits as `run_network` does and, after them, those of supervised stages."""
    with _precision(network, bf16=bf16):
        return network.forward_all(_bring(image, network))


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _bring(image: Tensor, module: nn.Module) -> Tensor:
    device = _device(module)
    if device.type == "cuda" and image.device.type == "cpu":
        image = image.pin_memory()  # else the copy waits for all work that is under way
    placed = image.to(device, non_blocking=True)
    return placed.contiguous(memory_format=torch.channels_last)


def _precision(module: nn.Module, *, bf16: bool) -> torch.autocast:
    return torch.autocast(_device(module).type, dtype=torch.bfloat16, enabled=bf16)


def _capabilities() -> dict[str, object]:
    # torch before 2.8 cannot be asked; float32 is then the safe answer
    ask = getattr(torch.cpu, "get_capabilities", dict)
    return dict(ask())
