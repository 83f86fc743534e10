"""What a network is made of, and the parts of those with a timm encoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.base import initialization
from torch import nn

from landvisor.architectures import NETWORKS
from landvisor.errors import ModelError
from landvisor.learn.encoders import Encoder, check_encoder
from landvisor.recipe import NetSpec

MULTIPLE = 32
_UNET_CHANNELS = (256, 128, 64, 32, 16)  # smp's own; the last block, at full resolution, is dropped
_DECODERS = {
    "unet": smp.Unet,
    "fpn": smp.FPN,
    "deeplabv3plus": smp.DeepLabV3Plus,
    "segformer": smp.Segformer,
}
# by stride: the submodule of a decoder that computes a stage, and its channels
_STAGES = {
    "unet": {4: ("blocks.2", 64), 8: ("blocks.1", 128), 16: ("blocks.0", 256)},
    "fpn": {8: ("p3", 256), 16: ("p4", 256), 32: ("p5", 256)},
    "deeplabv3plus": {16: ("aspp", 256)},
    "segformer": {8: ("mlp_stage.2", 256), 16: ("mlp_stage.1", 256), 32: ("mlp_stage.0", 256)},
}


@dataclass(frozen=True)
class Parts:
    """What a network is made of.

    Attributes:
        encoder: From an image to whatever the decoder reads.
        decoder: To one map of features.
        head: From its channels to classes.
        stride: Pixels per logit.
        multiple: The encoder reads rows and columns that are multiples of it.
        stages: By stride: the submodule of the decoder that computes a stage, and its channels.
    """

    encoder: nn.Module
    decoder: nn.Module
    head: nn.Module
    stride: int
    multiple: int = MULTIPLE
    stages: dict[int, tuple[str, int]] = field(default_factory=dict)


def make_parts(spec: NetSpec, encoder: Encoder, *, classes: int, seed: int) -> Parts:
    """Join a timm encoder with a decoder of segmentation-models-pytorch.

    Args:
        spec: Names the architecture and the encoder.
        encoder: Where the encoder's weights are taken from.
        classes: Number of classes.
        seed: Starts decoder and head.

    Raises:
        ModelError: If the encoder does not exist or cannot serve this architecture.
    """
    body = _make_body(spec, bands=len(encoder.mean), classes=classes)
    stride, head = 4, body.segmentation_head[0]
    if spec.model == "unet":
        body.decoder.blocks = body.decoder.blocks[:-1]
        stride, head = 2, nn.Conv2d(_UNET_CHANNELS[-2], classes, 3, padding=1)
    torch.manual_seed(seed)
    initialization.initialize_decoder(body.decoder)
    initialization.initialize_head(head)
    body.encoder.model.load_state_dict(encoder.module.state_dict())
    return Parts(body.encoder, body.decoder, head, stride, stages=_STAGES[spec.model])


def _make_body(spec: NetSpec, *, bands: int, classes: int) -> Any:
    check_encoder(spec.encoder)
    if spec.model not in _DECODERS:
        raise ModelError(f"{spec.model!r} is no network; choose one of {', '.join(NETWORKS)}")
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
