"""Which network turns a chip into class logits, and at what stride."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base import initialization
from torch import Tensor, nn

from landvisor.learn.encoders import Encoder, load_encoder
from landvisor.learn.parts import Parts, make_parts
from landvisor.learn.plain_unet import (
    make_no_encoder,
    make_one_conv,
    make_plain_encoder,
    make_plain_parts,
)
from landvisor.recipe import NetSpec

SIDES = "sides"
"""Where a network keeps the heads that training alone uses."""
_ENCODERS = {"plain_unet": make_plain_encoder, "one_conv": make_no_encoder}
_PARTS = {"plain_unet": make_plain_parts, "one_conv": make_one_conv}


class Stage(NamedTuple):
    """Logits of one stage of a network.

    Attributes:
        logits: `[b, class, ceil(row / stride), ceil(col / stride)]`.
        stride: Pixels per logit.
    """

    logits: Tensor
    stride: int

    @property
    def size(self) -> tuple[int, int]:
        """The (rows, cols) in pixels that the logits stand for: `size` of `sample_logits`."""
        return self.logits.shape[-2] * self.stride, self.logits.shape[-1] * self.stride


class Network(nn.Module):
    """An encoder, a decoder and a head whose logits stay at the decoder's own stride.

    Args:
        parts: What it is made of.
        sides: Heads of single decoder stages by stride, for training only.
    """

    def __init__(self, parts: Parts, *, sides: dict[int, nn.Module]) -> None:
        super().__init__()
        self.encoder = parts.encoder
        self.decoder = parts.decoder
        self.head = parts.head
        self.stride = parts.stride
        self.multiple = parts.multiple
        self.sides = nn.ModuleDict({str(stride): head for stride, head in sides.items()})
        self._names = {stride: parts.stages[stride][0] for stride in sides}

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits for images of any size.

        Args:
            image: `[b, band, row, col]`, normalised.

        Returns:
            `[b, class, ceil(row / stride), ceil(col / stride)]`. A logit always stands for
            `stride` pixels, so together they may reach a little beyond the image.
        """
        return self.crop(self.core(self.pad(image)), image)

    def core(self, padded: Tensor) -> Tensor:
        """Compute the logits of what `pad` returned."""
        logits: Tensor = self.head(self.decoder(self.encoder(padded)))
        return logits

    def pad(self, image: Tensor) -> Tensor:
        """Repeat the last row and column until the encoder can read the image."""
        rows, cols = image.shape[-2:]
        return _pad(image, (-rows % self.multiple, -cols % self.multiple))

    def crop(self, logits: Tensor, image: Tensor) -> Tensor:
        """Cut the logits of a padded image to those that the image itself needs."""
        return _crop(logits, image, stride=self.stride)

    def forward_all(self, image: Tensor) -> tuple[Stage, ...]:
        """Compute the logits of `forward` and, after them, those of supervised stages.

        Args:
            image: `[b, band, row, col]`, normalised.

        Returns:
            The network's own logits first, then one stage for each of `net.supervised_stages`,
            finest first; alone where there are none.
        """
        with _listen(self.decoder, self._names.values()) as heard:
            own = Stage(self(image), self.stride)
        sides = (
            Stage(_crop(self.sides[str(stride)](heard[name]), image, stride=stride), stride)
            for stride, name in self._names.items()
        )
        return own, *sides

    def extent(self, logits: Tensor) -> tuple[int, int]:
        """Return the (rows, cols) in pixels that logits stand for: `size` of `sample_logits`."""
        return Stage(logits, self.stride).size


def start_encoder(spec: NetSpec, bands: tuple[str, ...], *, seed: int = 0) -> Encoder:
    """Build the encoder that a network of this recipe starts with.

    Args:
        spec: Names the architecture and the encoder.
        bands: Names of the bands, in order.
        seed: Starts the weights that nothing pretrained fills.

    Raises:
        ModelError: If timm lacks the encoder, or its weights cannot be had or do not fit.
    """
    return _ENCODERS.get(spec.model, load_encoder)(spec, bands, seed=seed)


def build_network(
    spec: NetSpec,
    bands: tuple[str, ...],
    *,
    classes: int,
    encoder: Encoder | None = None,
    seed: int = 0,
) -> Network:
    """Build the network of a recipe, its encoder's weights loaded.

    Logits lie at stride 2 for `unet` and `plain_unet`, at 1 for `one_conv`, at 4 for the others.

    Args:
        spec: Names the architecture and the encoder.
        bands: Names of the bands, in order.
        classes: Number of classes.
        encoder: Where the weights are taken from; None loads what `spec` names.
        seed: Starts decoder and head, whatever the encoder and the number of bands.

    Raises:
        ModelError: If the encoder does not exist, cannot serve this architecture, or its weights
            cannot be had.
    """
    weights = encoder or start_encoder(spec, bands, seed=seed)
    with torch.random.fork_rng(devices=[]):
        parts = _PARTS.get(spec.model, make_parts)(spec, weights, classes=classes, seed=seed)
        sides = {s: nn.Conv2d(parts.stages[s][1], classes, 1) for s in spec.supervised_stages}
        for head in sides.values():
            initialization.initialize_head(head)
    return Network(parts, sides=dict(sides))


def upsample(logits: Tensor, *, stride: int, size: tuple[int, int]) -> Tensor:
    """Bring logits to pixels: bilinear, each logit at the centre of its `stride` pixels.

    Args:
        logits: `[b, class, h, w]` as a network gives them.
        stride: The network's.
        size: (rows, cols) of the image.
    """
    full = F.interpolate(logits, scale_factor=stride, mode="bilinear", align_corners=False)
    return full[..., : size[0], : size[1]]


def _pad(image: Tensor, amount: tuple[int, int]) -> Tensor:
    if amount == (0, 0):
        return image
    return F.pad(image, (0, amount[1], 0, amount[0]), mode="replicate")


def _crop(logits: Tensor, image: Tensor, *, stride: int) -> Tensor:
    rows, cols = image.shape[-2:]
    # not -(-rows // stride): an exported graph divides towards zero
    return logits[..., : (rows + stride - 1) // stride, : (cols + stride - 1) // stride]


@contextmanager
def _listen(decoder: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Collect what submodules of a decoder return while it runs."""
    heard: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _, __, output: heard.update({name: output})

    hooks = [decoder.get_submodule(n).register_forward_hook(keep(n)) for n in names]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
