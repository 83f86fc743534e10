"""Training as such, with a network of a few weights on chips of random numbers."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from landvisor.errors import RecipeError
from landvisor.learn.audit import Verdict
from landvisor.learn.augment import Chip, collate
from landvisor.learn.checkpoint import Journal
from landvisor.learn.fit import train_network
from landvisor.learn.losses import make_loss
from landvisor.learn.nets import Stage
from landvisor.learn.objective import Objective
from landvisor.learn.plan import Course, Plan
from landvisor.learn.portions import cut
from landvisor.learn.targets import Targets
from landvisor.learn.task import Turn
from landvisor.ranks import ALONE
from landvisor.recipe import FitSpec, TeacherSpec

NAMES, SIDE = ("water", "dry grass", "rock"), 16
CLASSES = len(NAMES)


pytestmark = pytest.mark.usefixtures("one_thread")


class Toy(nn.Module):
    """A network whose stride is 2 and whose images are normalised each by itself."""

    stride = 2

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(2, 8, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.head = nn.Conv2d(8, CLASSES, 1)

    def forward(self, image):
        return self.head(torch.relu(self.norm(self.encoder(image))))

    def forward_all(self, image):
        return (Stage(self(image), self.stride),)


class Chips(Dataset):
    """Chips that follow from epoch and index; some hold few places, those of `bare` none.

    Positions in `bare` are those in two batches after each other.
    """

    def __init__(self, spec, *, bare=()):
        self.spec = spec
        self.bare = bare
        self.epoch = 0

    def __len__(self):
        return self.spec.steps * self.spec.batch_size

    def __getitem__(self, index):
        generator = np.random.default_rng([self.epoch, index])
        image = generator.normal(size=(2, SIDE, SIDE)).astype(np.float32)
        place = index % self.spec.batch_size
        none = index % (2 * self.spec.batch_size) in self.bare
        count = 0 if none else 1 + 3 * place
        coords = generator.uniform(0, SIDE - 1, (count, 2))
        label = (image[0][tuple(coords.round().astype(int).T)] > 0).astype(np.int64)
        valid = np.ones((SIDE, SIDE), dtype=bool)
        valid[: place * 2] = False
        weight = generator.uniform(0.2, 1, count).astype(np.float32)
        targets = Targets(coords, label, weight, np.zeros(count, np.uint8))
        guide = generator.dirichlet(np.ones(CLASSES), (SIDE // 2, SIDE // 2)).transpose(2, 0, 1)
        return Chip(image, valid, targets, plain=image + 0.1, guide=guide.astype(np.float32))


def make_objective(network, spec, teacher):
    return Objective(
        network,
        make_loss(spec),
        fit=spec,
        teacher=TeacherSpec(**teacher),
        names=NAMES,
        deviation=1.0,
        seed=0,
        bf16=False,
    )


def train(folder, *, evaluate=None, bare=(), teacher=None, course=None, ranks=ALONE, **fit):
    base = {"epochs": 3, "steps": 4, "batch_size": 4, "lr": 0.02, "precision": "fp32"}
    spec = FitSpec(**{**base, **fit})
    network = Toy()
    plan = Plan(
        spec, 0, 1.0, bf16=False, journal=Journal(folder, "run"), course=course, ranks=ranks
    )

    def objective(network):
        return make_objective(network, spec, teacher or {})

    chips = Chips(spec, bare=bare)
    progress = train_network(network, chips, objective=objective, evaluate=evaluate, plan=plan)
    return network, progress


def distance(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def told(scores):
    """Give scores one by one, then fail."""
    left = list(scores)

    def evaluate(_):
        scores = dict.fromkeys(("mean_iou", "oa"), left.pop(0))
        return Verdict(scores, np.eye(CLASSES, dtype=np.float32), np.array([True, False, True]))

    return evaluate


def rates(folder):
    return [json.loads(line)["lr"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_rate_that_waits_falls_where_validation_stalls_and_resumes_exactly(tmp_path):
    scores = [0.5, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1]
    options = {"schedule": "plateau", "plateau_factor": 0.1, "plateau_patience": 2, "epochs": 7}
    whole, progress = train(tmp_path / "whole", evaluate=told(scores), **options)
    assert progress.drops == [4, 6]
    assert rates(tmp_path / "whole") == pytest.approx([0.02] * 4 + [0.002] * 2 + [0.0002])
    with pytest.raises(IndexError):
        train(tmp_path / "parts", evaluate=told(scores[:5]), **options)
    again, resumed = train(tmp_path / "parts", evaluate=told(scores[5:]), **options)
    assert rates(tmp_path / "parts") == rates(tmp_path / "whole")
    assert resumed.drops == progress.drops
    assert distance(again, whole) == 0


def test_a_rate_that_waits_for_scores_falls_by_cosine_where_there_are_none(tmp_path, caplog):
    waiting, _ = train(tmp_path / "a", schedule="plateau")
    falling, _ = train(tmp_path / "b", schedule="cosine")
    assert distance(waiting, falling) == 0
    assert caplog.text.count("nothing is validated: the rate falls by cosine") == 1


def test_a_course_is_repeated_with_the_falls_of_its_rate(tmp_path):
    options = {"schedule": "plateau", "plateau_factor": 0.1}
    course = Course(3, drops=(1, 2))
    _, progress = train(tmp_path, course=course, epochs=9, **options)
    assert rates(tmp_path) == pytest.approx([0.02, 0.002, 0.0002])
    assert progress.epochs == progress.best_epoch == 3
    train(tmp_path / "cut", course=Course(2), epochs=4)
    train(tmp_path / "whole", epochs=4)
    assert rates(tmp_path / "cut") == rates(tmp_path / "whole")[:2]


def test_the_last_epoch_is_kept_where_it_is_asked_for(tmp_path):
    scores = [0.1, 0.9, 0.2, 0.1]
    best, found = train(tmp_path / "best", evaluate=told(scores), epochs=4)
    last, kept = train(tmp_path / "last", evaluate=told(scores), epochs=4, keep="last")
    unchecked, _ = train(tmp_path / "unchecked", epochs=4)
    assert (found.best_epoch, found.scores["mean_iou"]) == (2, 0.9)
    assert (kept.best_epoch, kept.scores["mean_iou"]) == (4, 0.1)
    assert kept.peak == pytest.approx(sum(scores) / 4)
    assert distance(last, unchecked) == 0
    assert distance(last, best) > 0


def test_patience_ends_a_training_whose_last_epoch_is_kept(tmp_path):
    scores = [0.5, 0.1, 0.1, 0.1]
    _, kept = train(tmp_path, evaluate=told(scores), epochs=4, keep="last", patience=2)
    assert (kept.epochs, kept.best_epoch) == (3, 3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_other_optimisers_resume_exactly(tmp_path, optimizer):
    scores = [0.1, 0.2, 0.3]
    options = {"optimizer": optimizer, "average": 0.0}
    whole, progress = train(tmp_path / "whole", evaluate=told(scores), **options)
    with pytest.raises(IndexError):
        train(tmp_path / "parts", evaluate=told(scores[:1]), **options)
    again, _ = train(tmp_path / "parts", evaluate=told(scores[1:]), **options)
    assert distance(again, whole) == 0
    assert progress.history["loss"][-1] < progress.history["loss"][0]


SMALL = {"epochs": 1, "steps": 3, "average": 0.5}
TAUGHT = {"source": "both", "threshold": 0.3, "ramp": 0.0, "cutmix": 1.0}


@pytest.mark.parametrize("loss", ["focal", "ce", "bce"])
def test_a_batch_in_parts_gives_the_gradients_of_the_whole(loss):
    """Terms of all kinds, chips of unequal numbers of places, and one without any."""
    spec = FitSpec(loss=loss, gamma=1.0, pairwise=3.0, **SMALL, batch_size=5)
    chips = Chips(spec, bare=(1,))
    batch = collate([chips[index] for index in range(5)])
    found = []
    for parts in (1, 2, 3, 5):
        network = Toy()
        objective = make_objective(network, spec, TAUGHT)
        pieces = cut(5, parts)
        task = objective.settle(objective.ask(batch, Turn(0, 0, 1.0), parts=pieces))
        for piece in pieces:
            sum(objective.terms(network, task.part(piece)).values()).backward()
        found.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    assert found[0].norm() > 0.1
    for other in found[1:]:
        assert torch.allclose(other, found[0], rtol=1e-4, atol=1e-6)


def test_where_memory_runs_out_smaller_batches_give_the_same_weights(tmp_path, caplog, monkeypatch):
    whole, _ = train(tmp_path / "whole", teacher=TAUGHT, **SMALL)
    forward, failures = Toy.forward, []

    def run_out(self, image):
        if len(image) > 2:
            failures.append(len(image))
            raise torch.OutOfMemoryError("no memory")
        return forward(self, image)

    monkeypatch.setattr(Toy, "forward", run_out)
    parts, progress = train(tmp_path / "parts", teacher=TAUGHT, **SMALL)
    assert failures == [4]
    assert progress.parts == 2
    assert distance(whole, parts) < 1e-5
    assert caplog.text.count("over 2 parts of the batch") == 1


def test_memory_that_runs_out_halfway_leaves_no_gradients_behind(tmp_path, monkeypatch):
    whole, _ = train(tmp_path / "whole", **SMALL)
    forward, calls = Toy.forward, []

    def run_out(self, image):
        calls.append(len(image))
        if len(calls) in (1, 3):
            raise torch.OutOfMemoryError("no memory")
        return forward(self, image)

    monkeypatch.setattr(Toy, "forward", run_out)
    parts, _ = train(tmp_path / "parts", **SMALL)
    assert calls[:8] == [4, 2, 2, 1, 1, 1, 1, 1]
    assert distance(whole, parts) < 1e-5


def test_no_memory_for_one_chip_is_said_in_one_line(tmp_path, monkeypatch):
    def run_out(self, image):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(Toy, "forward", run_out)
    with pytest.raises(RecipeError, match="a single chip; lower"):
        train(tmp_path, **SMALL)
