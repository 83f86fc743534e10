import pytest
import torch
from torch import nn

from landvisor.errors import RecipeError
from landvisor.learn.optimise import (
    OPTIMISERS,
    SCHEDULES,
    clip_gradients,
    fallen_rate,
    has_stalled,
    make_optimiser,
    rate_at,
    set_rate,
)
from landvisor.recipe import FitSpec, Recipe


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.encoder(x)))


def test_rates_rise_and_fall_as_their_schedule_says():
    assert rate_at(0, "onecycle") == pytest.approx(1 / 25)
    assert rate_at(0.25, "onecycle") == pytest.approx(1)
    assert rate_at(1, "onecycle") == pytest.approx(1e-4)
    assert rate_at(0.5, "cosine") == pytest.approx(0.5, abs=1e-3)
    assert rate_at(0.7, "none") == 1


def test_a_pretrained_encoder_learns_slower_and_norms_do_not_decay():
    optimiser = make_optimiser(Tiny(), FitSpec(lr=0.01), encoder_factor=0.3)
    groups = [(g["peak"], g["weight_decay"]) for g in optimiser.param_groups]
    assert sorted(groups) == [(0.003, 0.0), (0.003, 0.01), (0.01, 0.0), (0.01, 0.01)]
    set_rate(optimiser, 0.5)
    assert sorted({g["lr"] for g in optimiser.param_groups}) == [0.0015, 0.005]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.01)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01)),
        (
            "sgd",
            lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01, momentum=0.9, nesterov=True),
        ),
    ],
)
def test_an_optimiser_is_the_one_of_its_name(name, reference):
    ours, theirs = Tiny(), Tiny()
    weights = [p for p in theirs.parameters() if p.ndim > 1]
    optimisers = (
        make_optimiser(ours, FitSpec(optimizer=name, lr=0.1), encoder_factor=1.0),
        reference(weights),
    )
    image = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        for network, optimiser in zip((ours, theirs), optimisers, strict=True):
            network.zero_grad()
            network(image).square().sum().backward()
            for parameter in network.parameters():
                if parameter.ndim == 1:
                    parameter.grad = None
            optimiser.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine, other, atol=1e-6)


def test_every_name_of_a_recipe_has_an_entry_and_others_are_refused():
    for key, registry in (("optimizer", OPTIMISERS), ("schedule", SCHEDULES)):
        assert set(FitSpec.model_fields[key].annotation.__args__) == set(registry)
        with pytest.raises(RecipeError, match=f"fit.{key}"):
            Recipe().with_values({f"fit.{key}": "lamb"})


def test_a_rate_falls_after_waiting_for_a_gain_or_for_its_last_fall():
    best, drops = 3, []
    for epoch in range(1, 12):
        if has_stalled(epoch, best=min(best, epoch), drops=drops, patience=2):
            drops.append(epoch)
    assert drops == [5, 7, 9, 11]
    rates = [fallen_rate(epoch, drops=drops, factor=0.5) for epoch in (0, 4, 5, 6, 7, 11)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 1 / 16]


@pytest.mark.parametrize("limit", [0, 0.5, 100])
def test_gradients_are_scaled_together_where_they_are_too_long(limit):
    parts = [torch.zeros(2, requires_grad=True) for _ in range(2)]
    for part, grad in zip(parts, ([3.0, 0.0], [0.0, 4.0]), strict=True):
        part.grad = torch.tensor(grad)
    clip_gradients(parts, limit)
    norm = torch.cat([part.grad for part in parts]).norm().item()
    assert norm == pytest.approx(0.5 if limit == 0.5 else 5, rel=1e-4)
