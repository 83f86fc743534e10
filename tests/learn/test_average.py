import torch
from torch import nn

from landvisor.learn.average import WeightAverage


def make_network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def test_the_average_is_the_closed_form_of_all_weights_so_far():
    network, decay, steps = make_network(), 0.9, 200
    average = WeightAverage(network, decay=decay)
    seen = [average.network[0].weight.clone()]
    decays = []
    for step in range(steps):
        with torch.no_grad():
            network[0].weight.add_(torch.randn_like(network[0].weight))
        average.update(network)
        seen.append(network[0].weight.detach().clone())
        decays.append(min(decay, (1 + step) / (10 + step)))
    # w_0 keeps the product of all decays; each later one enters by 1 - d and is decayed after
    shares = torch.tensor([1.0, *(1 - d for d in decays)], dtype=torch.float64) * torch.tensor(
        [*torch.cumprod(torch.tensor(decays[::-1]), 0).flip(0), 1.0]
    )
    assert torch.isclose(shares.sum(), torch.tensor(1.0, dtype=torch.float64), atol=1e-5)
    expected = sum(s * w.double() for s, w in zip(shares, seen, strict=True))
    assert torch.allclose(average.network[0].weight.double(), expected, atol=1e-4)


def test_running_statistics_are_averaged_and_counts_are_copied():
    network = make_network()
    average = WeightAverage(network, decay=0.5)
    network(torch.randn(4, 2, 5, 5))
    before = average.network[1].running_mean.clone()
    average.update(network)
    expected = before.lerp(network[1].running_mean, 0.9)  # the first step keeps a tenth
    assert torch.allclose(average.network[1].running_mean, expected)
    assert average.network[1].num_batches_tracked == 1


def test_the_average_neither_learns_nor_shares_memory():
    network = make_network()
    average = WeightAverage(network, decay=0.9)
    assert not any(p.requires_grad for p in average.network.parameters())
    assert not average.network.training
    with torch.no_grad():
        network[0].weight.zero_()
    assert average.network[0].weight.abs().sum() > 0
    assert network[0].weight.requires_grad
