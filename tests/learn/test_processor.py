import copy

import pytest
import torch
from torch import nn

from landvisor.learn.processor import quicken

WIDTH = 24


def make_layers(stride=2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, WIDTH, 1, bias=False),
        nn.ReLU6(inplace=True),
        nn.Conv2d(WIDTH, WIDTH, 3, stride=stride, padding=1, groups=WIDTH, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU6(inplace=True),
        nn.Conv2d(WIDTH, 4, 1),
    ).to(memory_format=torch.channels_last)


def run(layers, image, *, dtype):
    layers.zero_grad()
    image = image.clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        result = layers(image)
    result.float().square().sum().backward()
    return [result, image.grad, *(weight.grad for weight in layers.parameters())]


def make_pair(**options):
    plain = make_layers(**options)
    quick = copy.deepcopy(plain)
    quicken(quick)
    return plain, quick


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
def test_results_and_gradients_stay_the_same(dtype, stride):
    plain, quick = make_pair(stride=stride)
    image = 4 * torch.randn(2, 3, 33, 32)  # so that some values are above 6
    expected, found = run(plain, image, dtype=dtype), run(quick, image, dtype=dtype)
    assert torch.equal(found[0], expected[0])
    for mine, theirs in zip(found[1:], expected[1:], strict=True):
        assert mine.dtype == theirs.dtype
        # sums in another order, then rounded to eight bits: now and then to the next number
        rounded = dtype == torch.bfloat16
        assert (mine - theirs).norm() <= (1e-3 if rounded else 0) * theirs.norm()


def test_bfloat16_alone_takes_the_other_way():
    _, quick = make_pair()
    image = torch.randn(2, 3, 16, 16)
    assert "Strided" not in type(quick[:3](image).grad_fn).__name__
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "Strided" in type(quick[:3](image).grad_fn).__name__


def test_weights_keep_their_names_and_memory():
    layers = make_layers()
    before = dict(layers.named_parameters())
    quicken(layers)
    after = dict(layers.named_parameters())
    assert before.keys() == after.keys()
    assert all(before[name] is after[name] for name in before)


def test_without_gradients_nothing_is_kept():
    plain, quick = make_pair()
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quick.eval()(image), plain.eval()(image))
