"""A U-Net of chosen widths that starts from random weights and reads any bands."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import pairwise

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base import initialization
from torch import Tensor, nn

from landvisor.learn.encoders import Encoder
from landvisor.learn.parts import Parts
from landvisor.recipe import NetSpec

# With these an imagery's 2nd and 98th percentiles, mapped to 0 and 1, become -2 and 2: unit
# variance for a Gaussian
_MEAN, _STD = 0.5, 0.25
_GROUPS = 8


class PlainEncoder(nn.Module):
    """The contracting path: two convolutions a level, halved by the largest of 2 x 2.

    Args:
        bands: Of the image.
        widths: Channels per level, at strides 1, 2, 4 and so on.
        norm: `batch` or `group`.
        dropout: Share of the last level's channels that training leaves out, whole ones.

    References:
        Ronneberger, Fischer, Brox (2015), U-Net, doi:10.1007/978-3-319-24574-4_28, section 2 and,
        for the place of dropout, 3.1; its convolutions are padded here, and each has a norm.
        Tompson et al. (2015), arXiv:1411.4280, section 3.2, for dropping whole channels.
    """

    def __init__(self, bands: int, *, widths: tuple[int, ...], norm: str, dropout: float) -> None:
        super().__init__()
        pairs = zip((bands, *widths), widths, strict=False)
        self.levels = nn.ModuleList(_two_convolutions(a, b, norm=norm) for a, b in pairs)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Turn `[b, band, row, col]` into `[b, width, row / stride, col / stride]`, finest first.

        Rows and columns are multiples of the last level's stride.
        """
        features = [self.levels[0](image)]
        for level in self.levels[1:]:
            features.append(level(F.max_pool2d(features[-1], 2)))
        features[-1] = self.dropout(features[-1])
        return features


class AttentionGate(nn.Module):
    """Weighs every place of a skip connection by what the next coarser stage makes of it.

    α = σ(ψ(relu(W_x·x + W_g·g))), brought to the skip's own cells bilinearly; x becomes α·x.

    Args:
        skip: Channels of the skip connection x.
        coarse: Channels of the decoder stage g, at half its size.

    References:
        Oktay et al. (2018), Attention U-Net, arXiv:1804.03999, eq. 1 and 2: additive attention,
        one α for all channels. Their last convolution and norm after α·x are left to the
        decoder's block, which begins with them.
    """

    def __init__(self, skip: int, coarse: int) -> None:
        super().__init__()
        inner = max(1, skip // 2)
        self.from_skip = nn.Conv2d(skip, inner, 2, stride=2, bias=False)
        self.from_coarse = nn.Conv2d(coarse, inner, 1)
        self.score = nn.Conv2d(inner, 1, 1)

    def shares(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Return α `[b, 1, h, w]`, within 0..1, for `skip[b, c, h, w]`."""
        joint = torch.relu(self.from_skip(skip) + self.from_coarse(coarse))
        alpha = torch.sigmoid(self.score(joint))
        return F.interpolate(alpha, scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """Return α·x in the shape of `skip`."""
        return skip * self.shares(skip, coarse)


class PlainBlock(nn.Module):
    """One stage of the expanding path: doubled, joined with its skip, two convolutions."""

    def __init__(self, coarse: int, width: int, *, norm: str, gated: bool) -> None:
        super().__init__()
        self.gate = AttentionGate(width, coarse) if gated else None
        self.up = nn.ConvTranspose2d(coarse, width, 2, stride=2)
        self.convolutions = _two_convolutions(2 * width, width, norm=norm)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Join `coarse[b, c, h, w]` and `skip[b, width, 2h, 2w]` to the shape of `skip`."""
        passed = skip if self.gate is None else self.gate(skip, coarse)
        joined: Tensor = self.convolutions(torch.cat([passed, self.up(coarse)], dim=1))
        return joined


class PlainDecoder(nn.Module):
    """The expanding path, from the last level up to stride 2.

    Args:
        widths: Channels of the encoder's levels, at least three; a stage has as many as the
            level that it joins.
        norm: `batch` or `group`.
        gated: Put an attention gate into every skip connection.
    """

    def __init__(self, widths: tuple[int, ...], *, norm: str, gated: bool) -> None:
        super().__init__()
        up = pairwise(widths[:0:-1])
        self.blocks = nn.ModuleList(PlainBlock(a, b, norm=norm, gated=gated) for a, b in up)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Join the features of a `PlainEncoder` to `[b, widths[1], row / 2, col / 2]`."""
        joined, *skips = features[:0:-1]
        for block, skip in zip(self.blocks, skips, strict=True):
            joined = block(joined, skip)
        return joined


def make_plain_encoder(spec: NetSpec, bands: tuple[str, ...], *, seed: int = 0) -> Encoder:
    """Build the contracting path of a plain U-Net, from random weights.

    Its input is standardised by the training imagery alone, 8-bit or not: it has seen no other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = PlainEncoder(len(bands), widths=spec.widths, norm=spec.norm, dropout=spec.dropout)
        initialization.initialize_decoder(module)
    strides = tuple(2**level for level in range(len(spec.widths)))
    return _plain(module, bands, channels=spec.widths, strides=strides)


def make_plain_parts(spec: NetSpec, encoder: Encoder, *, classes: int, seed: int) -> Parts:
    """Join a contracting path with an expanding one that ends at stride 2, as `unet` does.

    The level at full resolution feeds the next one and no more: a stage that skips to it makes a
    training step of the default widths cost 1.4 times as much (one core, chip of 256).
    """
    torch.manual_seed(seed)
    decoder = PlainDecoder(spec.widths, norm=spec.norm, gated=spec.gated)
    head = nn.Conv2d(spec.widths[1], classes, 1)
    initialization.initialize_decoder(decoder)
    initialization.initialize_head(head)
    last = len(spec.widths) - 2
    stages = {
        2**level: (f"blocks.{last - level}", spec.widths[level]) for level in range(2, last + 1)
    }
    # twice the last level's stride: batch norm needs more than one cell of any image there
    multiple = 2 ** len(spec.widths)
    return Parts(deepcopy(encoder.module), decoder, head, 2, multiple, stages)


def make_no_encoder(_: NetSpec, bands: tuple[str, ...], *, seed: int = 0) -> Encoder:
    """Return what stands before a single convolution, whatever the seed: nothing."""
    del seed  # there is nothing to start
    return _plain(nn.Identity(), bands, channels=(len(bands),), strides=(1,))


def make_one_conv(_: NetSpec, encoder: Encoder, *, classes: int, seed: int) -> Parts:
    """Classify every pixel by one 3 x 3 convolution of the bands, at stride 1."""
    torch.manual_seed(seed)
    head = nn.Conv2d(encoder.channels[0], classes, 3, padding=1)
    initialization.initialize_head(head)
    return Parts(nn.Identity(), nn.Identity(), head, 1, multiple=1)


def _plain(
    module: nn.Module,
    bands: tuple[str, ...],
    *,
    channels: tuple[int, ...],
    strides: tuple[int, ...],
) -> Encoder:
    return Encoder(
        module=module,
        channels=channels,
        strides=strides,
        mean=(_MEAN,) * len(bands),
        std=(_STD,) * len(bands),
        pretrained=False,
        picture_range=False,
    )


def _two_convolutions(inputs: int, width: int, *, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, width):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            _norm(norm, width),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _norm(kind: str, width: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm2d(width)
    return nn.GroupNorm(math.gcd(_GROUPS, width), width)
