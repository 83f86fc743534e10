import pytest
import torch
import torch.nn.functional as F

from landvisor.errors import PointsError
from landvisor.learn.consistency import Trust, consistency_loss, semi_supervised_loss
from landvisor.learn.losses import partial_focal

CLASSES = 4


def make_logits(seed, shape=(2, CLASSES, 6, 5)):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def make_teacher(seed, scale=3.0):
    return torch.softmax(make_logits(seed).detach() * scale, dim=1)


def test_pseudo_labels_are_cross_entropy_over_believed_cells():
    logits, teacher, valid = make_logits(0), make_teacher(1), torch.ones(2, 6, 5)
    trust = Trust(CLASSES, threshold=0.8, adaptive=False, balance=False)
    weight = trust.weigh(teacher, valid)
    sure, label = teacher.max(dim=1)
    expected = F.cross_entropy(logits, label, reduction="none")[sure >= 0.8].sum() / 60
    found = consistency_loss(logits, teacher, weight, kind="pseudo_ce", valid=valid)
    assert torch.isclose(found, expected)


def test_soft_and_squared_terms_are_what_torch_computes():
    logits, teacher, valid = make_logits(0), make_teacher(1), torch.ones(2, 6, 5)
    soft = consistency_loss(logits, teacher, valid, kind="soft_ce", valid=valid)
    assert torch.isclose(soft, F.cross_entropy(logits, teacher))
    squared = consistency_loss(logits, teacher, valid, kind="mse", valid=valid)
    mean = F.mse_loss(logits.softmax(1), teacher) * CLASSES
    assert torch.isclose(squared, mean)


@pytest.mark.parametrize("kind", ["pseudo_ce", "soft_ce", "mse"])
def test_no_data_reaches_neither_value_nor_gradient(kind):
    logits, teacher = make_logits(0), make_teacher(1)
    valid = torch.ones(2, 6, 5)
    valid[:, :3] = 0
    weight = Trust(CLASSES, threshold=0.3, adaptive=True, balance=True).weigh(teacher, valid)
    first = consistency_loss(logits, teacher, weight, kind=kind, valid=valid)
    (gradient,) = torch.autograd.grad(first, logits)
    assert (gradient[:, :, :3] == 0).all()
    assert gradient[:, :, 3:].abs().sum() > 0
    other = logits.detach().clone()
    other[:, :, :3] = 50
    assert torch.equal(
        first.detach(), consistency_loss(other, teacher, weight, kind=kind, valid=valid)
    )


def test_an_unsure_teacher_teaches_an_exact_nothing():
    logits, teacher = make_logits(0), torch.full((2, CLASSES, 6, 5), 1 / CLASSES)
    valid = torch.ones(2, 6, 5)
    weight = Trust(CLASSES, threshold=0.9, adaptive=False, balance=True).weigh(teacher, valid)
    loss = consistency_loss(logits, teacher, weight, kind="pseudo_ce", valid=valid)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def make_uneven_teacher():
    """Class 0 is said with 0.95, class 1 with 0.6 and now and then with 0.7."""
    teacher = torch.zeros(1, 2, 10, 10)
    teacher[:, 0] = 0.95
    teacher[:, 0, 7:] = 0.4
    teacher[:, 0, 9:] = 0.3
    teacher[:, 1] = 1 - teacher[:, 0]
    return teacher


def test_adaptive_thresholds_let_a_class_in_that_is_never_sure():
    teacher, valid = make_uneven_teacher(), torch.ones(1, 10, 10)
    fixed = Trust(2, threshold=0.9, adaptive=False, balance=False)
    assert (fixed.weigh(teacher, valid)[0, 7:] == 0).all()
    adaptive = Trust(2, threshold=0.9, adaptive=True, balance=False)
    for _ in range(100):
        weight = adaptive.weigh(teacher, valid)
    mean = (0.6 * 20 + 0.7 * 10) / 30
    assert adaptive.thresholds().tolist() == pytest.approx([0.9, mean], abs=1e-3)
    assert (weight[0, :7] == 1).all()
    assert (weight[0, 9:] == 1).all()
    assert (weight[0, 7:9] == 0).all()


def test_balance_weighs_by_the_root_of_shares_with_a_mean_of_one():
    teacher, valid = make_uneven_teacher(), torch.ones(1, 10, 10)
    trust = Trust(2, threshold=0.5, adaptive=False, balance=True)
    for _ in range(100):
        weight = trust.weigh(teacher, valid)
    assert weight.mean() == pytest.approx(1, abs=1e-3)
    ratio = weight[0, 9, 0] / weight[0, 0, 0]
    assert ratio == pytest.approx((70 / 30) ** 0.5, abs=1e-3)


def test_trust_goes_on_from_its_state():
    teacher, valid = make_uneven_teacher(), torch.ones(1, 10, 10)
    first = Trust(2, threshold=0.9, adaptive=True, balance=True)
    first.weigh(teacher, valid)
    second = Trust(2, threshold=0.9, adaptive=True, balance=True)
    second.restore(first.state())
    assert torch.equal(first.weigh(teacher, valid), second.weigh(teacher, valid))
    assert torch.equal(first.thresholds(), second.thresholds())


def make_places():
    coords = torch.tensor([[0.0, 1.0], [5.0, 4.0], [2.0, 2.0]])
    return coords, torch.tensor([0, 3, 1]), torch.tensor([0, 1, 1])


def test_the_whole_loss_is_the_sum_of_its_terms():
    student, teacher = make_logits(0), make_logits(1).detach() * 3
    coords, labels, batch = make_places()
    row, col = coords.long().T
    places = partial_focal(student[batch, :, row, col], labels, gamma=2.0, alpha=0.25)
    told, valid = teacher.softmax(1), torch.ones(2, 6, 5)
    believed = (told.amax(1) >= 0.7).float()
    second = consistency_loss(student, told, believed, kind="mse", valid=valid)
    found = semi_supervised_loss(
        student, teacher, coords, labels, batch,
        gamma=2.0, alpha=0.25, consistency="mse", threshold=0.7, weight=0.5,
    )  # fmt: skip
    assert torch.isclose(found, places + 0.5 * second)


def test_without_places_the_second_term_is_left_and_no_gradient_reaches_the_teacher():
    student, teacher = make_logits(0), make_logits(1)
    none = torch.zeros(0, dtype=torch.int64)
    loss = semi_supervised_loss(student, teacher * 3, torch.zeros(0, 2), none, none, threshold=0.5)
    loss.backward()
    assert loss > 0
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


def test_logits_of_different_shapes_are_refused():
    coords, labels, batch = make_places()
    with pytest.raises(PointsError, match="student and teacher"):
        semi_supervised_loss(
            make_logits(0), make_logits(1, (2, CLASSES, 3, 5)), coords, labels, batch
        )
