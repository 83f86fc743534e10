"""Training as such, with a network of a few weights on chips of random numbers."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from landvisor.learn.augment import Chip
from landvisor.learn.checkpoint import Journal
from landvisor.learn.fit import Course, Plan, train_network
from landvisor.learn.losses import make_loss
from landvisor.learn.nets import Stage
from landvisor.learn.objective import Objective
from landvisor.learn.targets import Targets
from landvisor.recipe import FitSpec, TeacherSpec

CLASSES, SIDE = 3, 16


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors only lose by threads, most of all where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    """Chips that follow from epoch and index; some hold few places, some hold none."""

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
        count = 0 if place in self.bare else 1 + 3 * place
        coords = generator.uniform(0, SIDE - 1, (count, 2))
        label = (image[0][tuple(coords.round().astype(int).T)] > 0).astype(np.int64)
        valid = np.ones((SIDE, SIDE), dtype=bool)
        valid[: place * 2] = False
        weight = generator.uniform(0.2, 1, count).astype(np.float32)
        targets = Targets(coords, label, weight, np.zeros(count, np.uint8))
        guide = generator.dirichlet(np.ones(CLASSES), (SIDE // 2, SIDE // 2)).transpose(2, 0, 1)
        return Chip(image, valid, targets, plain=image + 0.1, guide=guide.astype(np.float32))


def train(folder, *, evaluate=None, bare=(), teacher=None, course=None, **fit):
    base = {"epochs": 3, "steps": 4, "batch_size": 4, "lr": 0.02, "precision": "fp32"}
    spec = FitSpec(**{**base, **fit})
    network = Toy()
    plan = Plan(spec, 0, 1.0, bf16=False, journal=Journal(folder, "run"), course=course)

    def objective(network):
        return Objective(
            network,
            make_loss(spec),
            fit=spec,
            teacher=TeacherSpec(**(teacher or {})),
            classes=CLASSES,
            deviation=1.0,
            seed=0,
            bf16=False,
        )

    chips = Chips(spec, bare=bare)
    progress = train_network(network, chips, objective=objective, evaluate=evaluate, plan=plan)
    return network, progress


def distance(first, second):
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def told(scores):
    """Give scores one by one, then fail."""
    left = list(scores)
    return lambda _: dict.fromkeys(("mean_iou", "oa"), left.pop(0))


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
