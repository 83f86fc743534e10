"""What is logged of averaged weights that teach, against counts by hand."""

import numpy as np
import pytest
import torch

from landvisor.learn.audit import Verdict, describe_accepted, describe_agreed
from landvisor.learn.consistency import Trust

NAMES = ("water", "dry grass", "rock")


def tell(*cells):
    """Lay (class, probability) pairs out as what a teacher says of one row of cells."""
    told = torch.zeros(len(NAMES), len(cells))
    for at, (label, sure) in enumerate(cells):
        told[:, at] = (1 - sure) / 2
        told[label, at] = sure
    return told[None, :, None]


def weigh(trust, valid, *cells):
    trust.weigh(tell(*cells), torch.tensor(valid)[None, None])


def test_accepted_is_the_share_of_a_class_beyond_the_threshold_with_data():
    trust = Trust(3, threshold=0.8, adaptive=False, balance=True)
    weigh(trust, [1.0, 1.0, 1.0, 0.0], (0, 0.9), (0, 0.7), (1, 0.6), (1, 0.95))
    weigh(trust, [1.0, 0.5, 1.0, 0.0], (0, 0.8), (0, 0.9), (0, 0.5), (2, 0.9))
    found = describe_accepted(trust.take_tally(), NAMES)
    assert found == {"accepted.water": pytest.approx(2.5 / 4.5), "accepted.dry grass": 0}
    assert describe_accepted(trust.take_tally(), NAMES) == {}


def test_accepted_counts_what_adaptive_thresholds_let_in():
    trust = Trust(3, threshold=0.9, adaptive=True, balance=False)
    for _ in range(50):
        weigh(trust, [1.0, 1.0, 1.0], (1, 0.5), (1, 0.5), (1, 0.8))
    trust.take_tally()
    weigh(trust, [1.0, 1.0, 1.0], (1, 0.5), (1, 0.5), (1, 0.8))
    assert describe_accepted(trust.take_tally(), NAMES) == {
        "accepted.dry grass": pytest.approx(1 / 3)
    }


def test_agreed_is_the_share_of_believed_places_that_are_right():
    said = tell((0, 0.9), (0, 0.95), (0, 0.85), (0, 0.5), (1, 0.6), (1, 0.4), (2, 0.5))[0, :, 0].T
    truth = np.array([0, 1, 0, 0, 2, 1, 2])
    right = said.argmax(dim=1).numpy() == truth
    thresholds = torch.tensor([0.8, 0.55, 0.9])
    found = describe_agreed(Verdict({}, said.numpy(), right), thresholds, NAMES)
    assert found == {
        "agreed.water": pytest.approx(2 / 3), "checked.water": 3,
        "agreed.dry grass": 0, "checked.dry grass": 1,
        "checked.rock": 0,
    }  # fmt: skip
