"""Which network turns a chip into class logits, and at what stride."""

from __future__ import annotations

from typing import Any

import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.base import initialization
from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.learn.encoders import Encoder, check_encoder, load_encoder
from landvisor.recipe import NetSpec

MULTIPLE = 32
_UNET_CHANNELS = (256, 128, 64, 32, 16)  # smp's own; the last block, at full resolution, is dropped
_DECODERS = {
    "unet": smp.Unet,
    "fpn": smp.FPN,
    "deeplabv3plus": smp.DeepLabV3Plus,
    "segformer": smp.Segformer,
}


class Network(nn.Module):
    """An encoder, a decoder and a head whose logits stay at the decoder's own stride.

    Args:
        body: A model of segmentation-models-pytorch.
        head: From the decoder's channels to classes.
        stride: Pixels per logit.
    """

    def __init__(self, body: Any, *, head: nn.Module, stride: int) -> None:
        super().__init__()
        self.encoder = body.encoder
        self.decoder = body.decoder
        self.head = head
        self.stride = stride

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits for images of any size.

        Args:
            image: `[b, band, row, col]`, normalised.

        Returns:
            `[b, class, ceil(row / stride), ceil(col / stride)]`. A logit always stands for
            `stride` pixels, so together they may reach a little beyond the image.
        """
        rows, cols = image.shape[-2:]
        padded = _pad(image, (-rows % MULTIPLE, -cols % MULTIPLE))
        logits: Tensor = self.head(self.decoder(self.encoder(padded)))
        return logits[..., : -(-rows // self.stride), : -(-cols // self.stride)]

    def extent(self, logits: Tensor) -> tuple[int, int]:
        """Return the (rows, cols) in pixels that logits stand for: `size` of `sample_logits`."""
        return logits.shape[-2] * self.stride, logits.shape[-1] * self.stride


def build_network(
    spec: NetSpec,
    bands: tuple[str, ...],
    *,
    classes: int,
    encoder: Encoder | None = None,
    seed: int = 0,
) -> Network:
    """Build the network of a recipe, its encoder's weights loaded.

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
    weights = encoder or load_encoder(spec, bands, seed=seed)
    with torch.random.fork_rng(devices=[]):
        body = _make_body(spec, bands=len(bands), classes=classes)
        stride, head = 4, body.segmentation_head[0]
        if spec.model == "unet":
            body.decoder.blocks = body.decoder.blocks[:-1]
            stride, head = 2, nn.Conv2d(_UNET_CHANNELS[-2], classes, 3, padding=1)
        torch.manual_seed(seed)
        initialization.initialize_decoder(body.decoder)
        initialization.initialize_head(head)
    body.encoder.model.load_state_dict(weights.module.state_dict())
    return Network(body, head=head, stride=stride)


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


def _make_body(spec: NetSpec, *, bands: int, classes: int) -> Any:
    check_encoder(spec.encoder)
    if spec.model not in _DECODERS:
        raise ModelError(f"{spec.model!r} is no network; choose one of {', '.join(_DECODERS)}")
    options = dict(spec.encoder_args)
    if spec.model == "unet":
        options["decoder_channels"] = _UNET_CHANNELS
    try:
        return _DECODERS[spec.model](
            encoder_name=f"tu-{spec.encoder}",
            encoder_weights=None,
            in_channels=bands,
            classes=classes,
            **options,
        )
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        raise ModelError(
            f"encoder {spec.encoder!r} with {spec.encoder_args} cannot serve a {spec.model} "
            f"({str(error).splitlines()[0]}); choose another encoder or another model"
        ) from error
