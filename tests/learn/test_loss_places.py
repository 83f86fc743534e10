"""Sums over places against torch, smp and scikit-learn, smoothed and not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import SoftCrossEntropyLoss
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits
from sklearn.metrics import log_loss

from landvisor.errors import RecipeError
from landvisor.learn.losses import partial_binary, partial_cross_entropy, partial_focal


def make_rows(n=40, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    return (
        torch.tensor(generator.normal(0, 3, (n, classes))),
        torch.tensor(generator.integers(0, classes, n)),
        torch.tensor(generator.uniform(0.1, 1, n)),
    )


def binary_by_sklearn(logits, labels, *, weight):
    """Average scikit-learn's log loss of each class against the rest."""
    p = torch.softmax(logits, dim=1).numpy()
    pairs = ((labels.numpy() == c, p[:, c]) for c in range(p.shape[1]))
    losses = [log_loss(hit, q, sample_weight=weight.numpy()) for hit, q in pairs]
    return np.mean(losses)


@pytest.mark.parametrize("gamma", [0.0, 0.7, 2.0])
def test_focal_is_that_of_smp_with_a_softmax(gamma):
    logits, labels, _ = make_rows()
    expected = softmax_focal_loss_with_logits(logits, labels, gamma=gamma)
    torch.testing.assert_close(partial_focal(logits, labels, gamma=gamma), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_smoothed_cross_entropy_is_that_of_smp_and_torch(smoothing):
    logits, labels, _ = make_rows()
    ours = partial_cross_entropy(logits, labels, smoothing=smoothing)
    torch.testing.assert_close(ours, SoftCrossEntropyLoss(smooth_factor=smoothing)(logits, labels))
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_smoothed_focal_spreads_the_focal_of_every_class():
    logits, labels, weight = make_rows()
    every = [
        partial_focal(logits, torch.full_like(labels, c), gamma=1.5, weight=weight)
        for c in range(4)
    ]
    plain = partial_focal(logits, labels, gamma=1.5, weight=weight)
    smooth = partial_focal(logits, labels, gamma=1.5, weight=weight, smoothing=0.2)
    torch.testing.assert_close(smooth, 0.8 * plain + 0.2 * torch.stack(every).mean())


def test_binary_is_the_log_loss_of_scikit_learn_class_by_class():
    logits, labels, weight = make_rows()
    ours = partial_binary(logits, labels, weight=weight)
    assert ours.item() == pytest.approx(binary_by_sklearn(logits, labels, weight=weight))
    alpha = torch.tensor([0.5, 2.0, 1.0, 0.7], dtype=torch.float64)
    heavy = weight * alpha[labels]  # alpha is of a place's label, but no part of the denominator
    expected = binary_by_sklearn(logits, labels, weight=heavy) * heavy.sum() / weight.sum()
    weighed = partial_binary(logits, labels, weight=weight, alpha=alpha)
    assert weighed.item() == pytest.approx(expected.item())


def test_smoothed_binary_is_that_of_torch_with_soft_targets():
    logits, labels, _ = make_rows()
    soft = 0.9 * F.one_hot(labels, 4).double() + 0.1 / 4
    expected = F.binary_cross_entropy(torch.softmax(logits, dim=1), soft)
    torch.testing.assert_close(partial_binary(logits, labels, smoothing=0.1), expected)


def test_one_place_worked_by_hand():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    by_hand = -(np.log(0.3) + np.log(1 - 0.5) + np.log(1 - 0.2)) / 3
    assert partial_binary(logits, torch.tensor([1])).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("height", [12.0, 50.0, 1e4])
def test_binary_is_exact_where_a_float32_probability_is_one(height):
    logits = torch.tensor([[height, 0.0, 0.0]], requires_grad=True)
    loss = partial_binary(logits, torch.tensor([1]))
    loss.backward()
    # log p of the label is -height; of the first class's rest log 2 - height; of the third's ~0
    assert loss.item() == pytest.approx((2 * height - np.log(2)) / 3, rel=1e-5)
    np.testing.assert_allclose(logits.grad, [[2 / 3, -1 / 2, -1 / 6]], atol=1e-4)


def test_one_class_alone_has_no_loss():
    for smoothing in (0.0, 0.1):
        logits = torch.full((3, 1), 5.0, requires_grad=True)
        loss = partial_binary(logits, torch.zeros(3, dtype=torch.long), smoothing=smoothing)
        loss.backward()
        assert loss.item() == 0
        assert (logits.grad == 0).all()


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan")])
def test_smoothing_that_is_no_share_is_refused(smoothing):
    logits, labels, _ = make_rows()
    for loss in (partial_focal, partial_cross_entropy, partial_binary):
        with pytest.raises(RecipeError, match="smoothing"):
            loss(logits, labels, smoothing=smoothing)
