import numpy as np
import pytest
import torch
from torch import nn

from landvisor.learn.augment import Batch
from landvisor.learn.losses import partial_cross_entropy
from landvisor.learn.nets import Stage
from landvisor.learn.objective import Objective, cell_shares, fall, ramp
from landvisor.learn.task import Turn
from landvisor.recipe import FitSpec, TeacherSpec

NAMES = ("water", "dry grass", "rock")
CLASSES = len(NAMES)


class Pixelwise(nn.Module):
    """A network without neighbours: logits of a cell follow from the means of its pixels."""

    def __init__(self, bands=2, stride=2):
        super().__init__()
        self.stride = stride
        self.head = nn.Conv2d(bands, CLASSES, 1)

    def forward(self, image):
        return self.head(nn.functional.avg_pool2d(image, self.stride))

    def forward_all(self, image):
        return (Stage(self(image), self.stride),)


def loss_at_places(logits, labels, weight=None, *, total=None):
    return partial_cross_entropy(logits, labels, weight=weight, total=total)


def make_batch(seed=0, places=20, size=32):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 2, size, size, generator=generator)
    guide = torch.softmax(torch.randn(2, CLASSES, 16, 16, generator=generator) * 3, dim=1)
    return Batch(
        image=image,
        valid=torch.ones(2, size, size, dtype=torch.bool),
        coords=torch.rand(places, 2, generator=generator) * (size - 1),
        batch=torch.randint(0, 2, (places,), generator=generator),
        label=torch.randint(0, CLASSES, (places,), generator=generator),
        weight=torch.ones(places),
        plain=image,
        guide=guide,
    )


def make_objective(network, **teacher):
    return Objective(
        network,
        loss_at_places,
        fit=FitSpec(average=0.9),
        teacher=TeacherSpec(**teacher),
        names=NAMES,
        deviation=1.0,
        seed=0,
        bf16=False,
    )


def run(objective, net, batch, *, share=1.0, parts=()):
    task = objective.settle(objective.ask(batch, Turn(0, 0, share), parts=parts))
    found = [objective.terms(net, task.part(part)) for part in parts or [slice(0, 2)]]
    terms = {name: sum(each[name] for each in found) for name in found[0]}
    objective.note(terms)
    return sum(terms.values())


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Pixelwise()


@pytest.mark.parametrize("source", ["average", "instant", "both"])
def test_a_weight_of_nothing_is_the_loss_at_places_alone(net, source):
    batch = make_batch()
    plain = run(make_objective(net), net, batch)
    assert torch.equal(run(make_objective(net, source=source, weight=0), net, batch), plain)
    taught = run(make_objective(net, source=source, threshold=0.1, cutmix=0), net, batch)
    assert taught > plain


def test_the_teacher_of_an_equal_network_says_what_the_network_says(net):
    """Aligned views: without changes of colour, student and teacher agree in every cell."""
    options = {"source": "average", "consistency": "mse", "threshold": 0.0, "cutmix": 1.0}
    batch = make_batch()
    objective = make_objective(net, **options)
    run(objective, net, batch)
    assert objective.report()["loss_teacher"] == pytest.approx(0, abs=1e-12)
    shifted = batch._replace(plain=batch.plain.roll(2, dims=-1))
    run(objective, net, shifted)
    assert objective.report()["loss_teacher"] > 1e-4


def test_a_batch_without_places_still_teaches(net):
    objective = make_objective(net, source="instant")
    loss = run(objective, net, make_batch(places=0))
    loss.backward()
    assert net.head.weight.grad.abs().sum() > 0


def test_no_data_is_taught_by_nobody(net):
    batch = make_batch(places=0)
    batch = batch._replace(valid=torch.zeros_like(batch.valid))
    objective = make_objective(net, source="both", threshold=0.1)
    loss = run(objective, net, batch)
    loss.backward()
    assert loss == 0
    assert net.head.weight.grad.abs().sum() == 0


def test_terms_weigh_as_asked_and_are_reported(net):
    batch = make_batch()
    objective = make_objective(net, source="instant", weight=1.0, cutmix=0)
    run(objective, net, batch)
    once = objective.report()
    double = make_objective(net, source="instant", weight=2.0, cutmix=0)
    run(double, net, batch)
    twice = double.report()
    assert twice["loss_places"] == once["loss_places"]
    assert twice["loss_teacher"] == pytest.approx(2 * once["loss_teacher"])
    assert twice["gradient_ratio"] == pytest.approx(2 * once["gradient_ratio"])


def test_the_ratio_of_pulls_waits_for_a_step_that_has_both(net):
    same = {"threshold": 0.1, "adaptive": False, "balance": False, "cutmix": 0}
    objective = make_objective(net, source="average", **same)
    run(objective, net, make_batch(places=0))
    assert "gradient_ratio" not in objective.report()
    run(objective, net, make_batch(places=0))
    run(objective, net, make_batch(seed=1))
    run(objective, net, make_batch(seed=2))
    found = objective.report()["gradient_ratio"]
    run(objective, net, make_batch(seed=1))
    assert 0 < found == pytest.approx(objective.report()["gradient_ratio"])


def test_averaged_weights_gain_their_say_along_the_ramp(net):
    batch = make_batch()
    options = {"source": "average", "threshold": 0.1, "ramp": 0.5, "cutmix": 0}
    said = []
    for share in (0.0, 0.25, 0.5, 0.9):
        objective = make_objective(net, **options)
        run(objective, net, batch, share=share)
        said.append(objective.report()["loss_teacher"])
    assert said[0] / said[2] == pytest.approx(np.exp(-5), rel=1e-4)
    assert said[0] < said[1] < said[2] == pytest.approx(said[3])
    assert ramp(0.0, 0.0) == 1


def test_an_instant_teacher_loses_its_say_along_half_a_cosine(net):
    batch = make_batch()
    said = []
    for share in (0.0, 0.25, 0.5, 1.0):
        objective = make_objective(net, source="instant", fade=0.8, cutmix=0)
        run(objective, net, batch, share=share)
        said.append(objective.report()["loss_teacher"])
    falls = [0.0, 0.5 - 0.5**1.5, 0.5, 1.0]
    assert [fall(share) for share in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(falls)
    assert np.array(said) / said[0] == pytest.approx(1 - 0.8 * np.array(falls), rel=1e-5)
    assert fall(1.5) == 1


def test_shares_of_cells_count_their_pixels():
    valid = torch.zeros(1, 5, 6, dtype=torch.bool)
    valid[0, :3, :2] = True
    found = cell_shares(valid, stride=2)
    assert torch.equal(found[0, :, 0], torch.tensor([1.0, 0.5, 0.0]))
    assert (found[0, :, 1:] == 0).all()
