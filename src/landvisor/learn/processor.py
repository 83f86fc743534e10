"""Which layers a processor computes faster in another way, to the same result."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quicken(network: nn.Module) -> None:
    """Let layers for which torch has slow code on processors run other code.

    Weights and their names stay as they are, and so does all that is computed in float32. In
    bfloat16 torch 2.13 has only slow reference code for the gradients of depthwise convolutions
    with a stride, and a ReLU6 in place takes longer than one into new memory; together that is
    a fifth of a training step of a U-Net on MobileNetV2.
    """
    for layer in network.modules():
        if type(layer) is nn.ReLU6:
            layer.__class__ = _ReLU6
        elif type(layer) is nn.Conv2d and _is_strided_depthwise(layer):
            layer.__class__ = _StridedDepthwise


def _is_strided_depthwise(layer: nn.Conv2d) -> bool:
    return (
        layer.groups == layer.in_channels > 1
        and max(layer.stride) > 1
        and layer.bias is None
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


class _StridedDepthwise(nn.Conv2d):
    def forward(self, image: Tensor) -> Tensor:
        if not (torch.is_autocast_enabled("cpu") and torch.is_grad_enabled()):
            return super().forward(image)
        dtype = torch.get_autocast_dtype("cpu")
        apply: Any = _Strided.apply  # untyped in torch
        result: Tensor = apply(image.to(dtype), self.weight.to(dtype), self)
        return result


class _Strided(torch.autograd.Function):
    """A convolution whose gradients are computed in float32 and rounded afterwards."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.layer = layer
        return F.conv2d(
            image, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (image, weight), layer = ctx.saved_tensors, ctx.layer
        of_image, of_weight, _ = torch.ops.aten.convolution_backward(
            grad.float(), image.float(), weight.float(), None, layer.stride, layer.padding,
            layer.dilation, False, (0, 0), layer.groups, (ctx.needs_input_grad[0], True, False),
        )  # fmt: skip
        # an image of pixels needs no gradient, and then there is none
        rounded = None if of_image is None else of_image.to(image.dtype)
        return rounded, of_weight.to(weight.dtype), None


class _ReLU6(nn.ReLU6):
    def forward(self, values: Tensor) -> Tensor:
        if values.dtype != torch.bfloat16:
            return super().forward(values)
        apply: Any = _Clip.apply  # untyped in torch
        result: Tensor = apply(values)
        return result


class _Clip(torch.autograd.Function):
    """ReLU6 that keeps its result alone for the backward pass, as the one in place does."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        clipped = values.clamp(0, 6)
        ctx.save_for_backward(clipped)
        return clipped

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        slope: Tensor = torch.ops.aten.hardtanh_backward(grad, *ctx.saved_tensors, 0, 6)
        return slope
