"""Set losses against smp, against their definitions spelt out, and worked by hand."""

import numpy as np
import pytest
import torch
from segmentation_models_pytorch.losses import DiceLoss, JaccardLoss, LovaszLoss

from landvisor.learn.losses import partial_dice, partial_jaccard, partial_lovasz

OURS = {"dice": partial_dice, "jaccard": partial_jaccard, "lovasz": partial_lovasz}
SMP = {"dice": DiceLoss, "jaccard": JaccardLoss, "lovasz": LovaszLoss}


def make_rows(n=40, classes=4, seed=0, labels=None):
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, labels or classes, n)
    drawn[: labels or classes] = np.arange(labels or classes)
    return (
        torch.tensor(generator.normal(0, 2, (n, classes))),
        torch.tensor(drawn),
        torch.tensor(generator.uniform(0.1, 1, n)),
    )


def ask_smp(name, logits, labels):
    return SMP[name](mode="multiclass")(logits.T[None, :, None], labels[None, None])


def by_definition(name, logits, labels, weight):
    """Spell out each loss in float64, class by class and set by set."""
    p = np.asarray(torch.softmax(logits.detach().double(), dim=1))
    y, w = labels.numpy(), weight.numpy()
    losses = []
    for c in np.unique(y[w > 0]):
        q, hit = p[:, c], y == c
        if name == "dice":
            losses.append(1 - 2 * w[hit] @ q[hit] / (w @ q + w[hit].sum()))
        elif name == "jaccard":
            losses.append(1 - w[hit] @ q[hit] / sum(w * np.where(hit, 1, q)))
        else:
            losses.append(lovasz_by_sets(np.where(hit, 1 - q, q), hit, w))
    return np.mean(losses)


def lovasz_by_sets(errors, hit, w):
    """Sum errors times the growth of 1 - IoU as places are taken wrongly one by one."""
    wrong, before, total = np.zeros(len(w), dtype=bool), 0.0, 0.0
    for i in np.argsort(-errors):
        wrong[i] = True
        now = w[wrong].sum() / w[hit | wrong].sum()  # missed and false over the union
        total += errors[i] * (now - before)
        before = now
    return total


@pytest.mark.parametrize("name", OURS)
def test_value_and_gradient_are_those_of_smp_where_every_class_occurs(name):
    logits, labels, _ = make_rows()
    ours, theirs = logits.float().requires_grad_(), logits.float().requires_grad_()
    loss, expected = OURS[name](ours, labels), ask_smp(name, theirs, labels)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", OURS)
def test_only_classes_that_occur_are_averaged(name):
    logits, labels, _ = make_rows(classes=5, labels=3)
    share = 1.0 if name == "lovasz" else 5 / 3  # smp divides the other two by all classes
    logits = logits.float()
    torch.testing.assert_close(OURS[name](logits, labels), share * ask_smp(name, logits, labels))


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("labels", [4, 2])
def test_weights_enter_as_in_the_definition(name, labels):
    logits, drawn, weight = make_rows(labels=labels)
    weight[::7] = 0
    ours = OURS[name](logits, drawn, weight=weight)
    assert ours.item() == pytest.approx(by_definition(name, logits, drawn, weight), rel=1e-9)


@pytest.mark.parametrize("name", OURS)
def test_alpha_multiplies_the_term_of_its_class(name):
    logits, labels, weight = make_rows()
    alone = [OURS[name](logits, labels, weight=weight, alpha=torch.eye(4)[c]) * 4 for c in range(4)]
    alpha = torch.tensor([0.5, 2.0, 1.0, 0.7])
    ours = OURS[name](logits, labels, weight=weight, alpha=alpha)
    torch.testing.assert_close(ours, (alpha * torch.stack(alone)).sum() / 4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # class 0: p 0.8 where it is, 0.4 where not; class 1: p 0.6 where it is, 0.2 where not
        ("dice", 1 - (1.6 / 2.2 + 1.2 / 1.8) / 2),
        ("jaccard", 1 - (0.8 / 1.4 + 0.6 / 1.2) / 2),
        # class 0: errors 0.4 (false) then 0.2 (missed): 0.4 * 1/2 + 0.2 * 1/2; class 1: 0.4
        # (missed) then 0.2 (false): 0.4 * 1 + 0.2 * 0
        ("lovasz", ((0.4 / 2 + 0.2 / 2) + 0.4) / 2),
    ],
)
def test_two_places_worked_by_hand(name, expected):
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.4, 0.6]]))
    assert OURS[name](logits, torch.tensor([0, 1])).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", OURS)
def test_parts_add_up_to_the_mean_of_their_losses_weighted_by_their_places(name):
    logits, labels, weight = make_rows()
    parts = torch.tensor_split(torch.arange(40), [0, 3, 25])
    added = sum(
        OURS[name](logits[i], labels[i], weight=weight[i], total=weight.sum()) for i in parts
    )
    alone = torch.stack([OURS[name](logits[i], labels[i], weight=weight[i]) for i in parts])
    sizes = torch.stack([weight[i].sum() for i in parts])
    torch.testing.assert_close(added, (alone * sizes).sum() / sizes.sum())
