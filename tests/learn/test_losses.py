"""The partial loss against numbers worked out another way, and where it must not look."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landvisor.errors import LandvisorError, PointsError, RecipeError
from landvisor.learn.losses import (
    LOSSES,
    PartialFocalLoss,
    make_loss,
    partial_focal,
    sample_logits,
)
from landvisor.recipe import FitSpec

ALPHAS = (None, 0.25, (0.5, 2.0, 1.0, 0.7))


def reference(logits, labels, *, gamma, alpha=None, weight=None):
    """Work out the formula in float64 with a softmax by hand."""
    z = np.asarray(logits, dtype=np.float64)
    n = len(z)
    w = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p = (e / e.sum(axis=1, keepdims=True))[np.arange(n), labels]
    a = np.ones(z.shape[1]) * (1.0 if alpha is None else np.asarray(alpha))
    return np.sum(w * a[labels] * (1 - p) ** gamma * -np.log(p)) / w.sum()


def slope(function, at, step=1e-6):
    """Differentiate by central differences."""
    result = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = np.zeros_like(at)
        moved[index] = step
        result[index] = (function(at + moved) - function(at - moved)) / (2 * step)
    return result


def make_rows(n=20, classes=4, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.normal(0, 3, (n, classes)),
        generator.integers(0, classes, n),
        generator.uniform(0.1, 1, n),
    )


def make_map(batch=2, classes=4, rows=12, cols=17, share=0.1, seed=0):
    """Return dense logits, a target mostly at 255, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, rows, cols, generator=generator)
    target = torch.randint(classes, (batch, rows, cols), generator=generator)
    mask = torch.rand(batch, rows, cols, generator=generator) < share
    return logits, torch.where(mask, target, 255), mask


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_equal_a_float64_reference(gamma, alpha, weighted):
    z, labels, weight = make_rows()
    weight = weight if weighted else None

    def by_hand(x):
        return reference(x, labels, gamma=gamma, alpha=alpha, weight=weight)

    for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-5)):
        logits = torch.tensor(z, dtype=dtype, requires_grad=True)
        loss = partial_focal(
            logits,
            torch.tensor(labels),
            gamma=gamma,
            alpha=torch.tensor(alpha) if isinstance(alpha, tuple) else alpha,
            weight=None if weight is None else torch.tensor(weight),
        )
        loss.backward()
        assert loss.item() == pytest.approx(by_hand(z), rel=10 * tolerance)
        np.testing.assert_allclose(logits.grad.numpy(), slope(by_hand, z), atol=10 * tolerance)


def test_one_place_worked_by_hand():
    logits = torch.log(torch.tensor([[0.75, 0.25]]))
    loss = partial_focal(logits, torch.tensor([1]), gamma=2.0, alpha=0.25)
    assert loss.item() == pytest.approx(0.25 * 0.75**2 * np.log(4))


def test_gamma_zero_is_the_cross_entropy_of_torch():
    logits, target, _ = make_map()
    ours = PartialFocalLoss(gamma=0.0)(logits, target)
    torch.testing.assert_close(ours, F.cross_entropy(logits, target, ignore_index=255))


@pytest.mark.parametrize("weighted", [False, True])
def test_module_equals_the_formula_with_a_mask(weighted):
    logits, target, labelled = make_map()
    full = torch.where(labelled, target, 0)
    mask = labelled * torch.rand(labelled.shape) if weighted else labelled.float()
    log_p = torch.log_softmax(logits.double(), dim=1).gather(1, full[:, None])[:, 0]
    expected = ((1 - log_p.exp()) ** 2 * -log_p * mask).sum() / mask.sum()
    ours = PartialFocalLoss()(logits, full, mask)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)
    if not weighted:
        torch.testing.assert_close(ours, PartialFocalLoss()(logits, target))
        torch.testing.assert_close(ours, PartialFocalLoss()(logits, full, labelled))


def test_unlabelled_pixels_stay_out_even_where_the_mask_is_one():
    logits, target, _ = make_map()
    everywhere = torch.ones(target.shape)
    torch.testing.assert_close(
        PartialFocalLoss()(logits, target, everywhere), PartialFocalLoss()(logits, target)
    )


@pytest.mark.parametrize("ignore_index", [255, -100, -1, 3])
def test_any_whole_number_may_mean_unlabelled(ignore_index):
    logits, target, labelled = make_map(classes=3)
    moved = torch.where(labelled, target, ignore_index)
    torch.testing.assert_close(
        PartialFocalLoss(ignore_index=ignore_index)(logits, moved),
        PartialFocalLoss()(logits, target),
    )


def test_a_uint8_target_is_read_by_value():
    logits, target, _ = make_map()
    torch.testing.assert_close(
        PartialFocalLoss()(logits, target.to(torch.uint8)), PartialFocalLoss()(logits, target)
    )
    far = torch.full((1, 1, 2), 156, dtype=torch.uint8)  # -100 in eight bits
    with pytest.raises(PointsError):
        PartialFocalLoss(ignore_index=-100)(torch.zeros(1, 4, 1, 2), far)


@pytest.mark.parametrize("side", [64, 128, 256, 512, 1024])
def test_loss_of_the_module_does_not_depend_on_how_sparse_the_labels_are(side):
    logits, target, _ = make_map(batch=1, rows=64, cols=64)
    expected = PartialFocalLoss()(logits, target)
    wide = torch.randn(1, 4, side, side)
    wide[:, :, :64, :64] = logits
    sparse = torch.full((1, side, side), 255)
    sparse[:, :64, :64] = target
    torch.testing.assert_close(PartialFocalLoss()(wide, sparse), expected)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_loss_through_a_network_does_not_depend_on_the_size_of_the_tile(stride):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.AvgPool2d(stride), torch.nn.Conv2d(3, 4, 1)
    )
    tile = torch.randn(1, 2, 64, 64)
    coords = 8 + 48 * torch.rand(30, 2)
    labels = torch.randint(4, (30,))
    batch = torch.zeros(30, dtype=torch.long)
    losses = []
    for side in (64, 128, 1024):
        image = torch.randn(1, 2, side, side)
        image[:, :, -64:, -64:] = tile
        moved = coords + side - 64
        rows = sample_logits(network(image), moved, batch, size=(side, side))
        losses.append(partial_focal(rows, labels))
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(losses[2], losses[0], rtol=1e-4, atol=1e-5)


def test_no_label_gives_an_exact_zero_with_a_graph():
    none = torch.zeros(0, dtype=torch.long)
    dense = torch.randn(2, 4, 8, 8, requires_grad=True)
    unlabelled = torch.full((2, 8, 8), 255)
    for loss in (
        PartialFocalLoss()(dense, unlabelled),
        PartialFocalLoss(alpha=torch.ones(4))(dense, unlabelled, torch.zeros(2, 8, 8)),
        partial_focal(sample_logits(dense, torch.zeros(0, 2), none, size=(8, 8)), none),
        partial_focal(dense[0, :, 0].T, torch.zeros(8, dtype=torch.long), weight=torch.zeros(8)),
    ):
        dense.grad = None
        assert loss.item() == 0
        loss.backward()
        assert (dense.grad == 0).all()


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9, 1.0, 2.0])
@pytest.mark.parametrize("height", [20.0, 200.0, 1e5])
def test_saturated_logits_have_finite_gradients(gamma, height):
    logits = torch.tensor([[height, 0.0], [0.0, height]], requires_grad=True)
    loss = partial_focal(logits, torch.tensor([0, 0]), gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1, 1] > 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_unlabelled_pixels_reach_neither_loss_nor_gradient(bad):
    logits, target, labelled = make_map()
    spoilt = torch.where(labelled[:, None], logits, bad).requires_grad_()
    loss = PartialFocalLoss()(spoilt, target)
    loss.backward()
    torch.testing.assert_close(loss, PartialFocalLoss()(logits, target))
    assert torch.isfinite(spoilt.grad).all()
    assert (spoilt.grad.abs().sum(1)[~labelled] == 0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("stride", [1, 3])
def test_neighbours_of_weight_zero_reach_neither_value_nor_gradient(bad, stride):
    cells = torch.tensor([[0, 0], [2, 3], [4, 5], [1, 5], [4, 0]])
    clean = torch.randn(1, 3, 5, 6)
    logits = torch.full_like(clean, bad)
    logits[0, :, cells[:, 0], cells[:, 1]] = clean[0, :, cells[:, 0], cells[:, 1]]
    logits.requires_grad_()
    centres = (cells + 0.5) * stride - 0.5
    zero = torch.zeros(5, dtype=torch.long)
    rows = sample_logits(logits, centres, zero, size=(5 * stride, 6 * stride))
    partial_focal(rows, zero).backward()
    assert torch.equal(rows, clean[0, :, cells[:, 0], cells[:, 1]].T)
    assert torch.isfinite(logits.grad).all()


def test_a_place_of_weight_zero_takes_no_part():
    logits = torch.tensor([[float("nan"), 0.0], [1.0, 2.0]], requires_grad=True)
    loss = partial_focal(logits, torch.tensor([0, 1]), weight=torch.tensor([0.0, 0.5]))
    loss.backward()
    torch.testing.assert_close(loss, partial_focal(logits[1:], torch.tensor([1])))
    assert torch.isfinite(logits.grad).all()


def test_autocast_agrees_with_float32():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(8, 5, 1)
    image = torch.randn(2, 8, 16, 16)
    coords, batch = 15 * torch.rand(40, 2), torch.arange(2).repeat(20)
    labels = torch.randint(5, (40,))
    whole = partial_focal(sample_logits(layer(image), coords, batch, size=(16, 16)), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = layer(image)
        rows = sample_logits(logits, coords, batch, size=(16, 16))
        half = partial_focal(rows, labels)
    assert logits.dtype == torch.bfloat16
    assert rows.dtype == half.dtype == torch.float32
    assert half.item() == pytest.approx(whole.item(), rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.float64])
def test_whole_pixels_equal_indexing(dtype):
    logits = torch.randn(3, 4, 37, 300)
    batch, row, col = (torch.randint(end, (200,)) for end in (3, 37, 300))
    coords = torch.stack([row, col], dim=1).to(dtype)
    rows = sample_logits(logits, coords, batch, size=(37, 300))
    assert torch.equal(rows, logits[batch, :, row, col])


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_sampling_agrees_with_grid_sample(stride):
    logits = torch.randn(1, 3, 8, 10, dtype=torch.float64)
    rows, cols = 8 * stride, 10 * stride
    coords = torch.rand(100, 2, dtype=torch.float64) * torch.tensor([rows, cols]) - 0.5
    grid = (2 * (coords + 0.5) / torch.tensor([rows, cols]) - 1).flip(1)
    expected = F.grid_sample(logits, grid[None, None], align_corners=False, padding_mode="border")[
        0, :, 0
    ].T
    ours = sample_logits(logits, coords, torch.zeros(100, dtype=torch.long), size=(rows, cols))
    torch.testing.assert_close(ours, expected)


def test_a_place_is_read_from_its_own_image():
    logits = torch.arange(3.0)[:, None, None, None].expand(3, 2, 4, 4)
    batch = torch.tensor([2, 0, 1])
    rows = sample_logits(logits, torch.full((3, 2), 1.3), batch, size=(4, 4))
    torch.testing.assert_close(rows[:, 0], batch.float())


@pytest.mark.parametrize(("ranks", "steps"), [(1, 4), (3, 1), (3, 2)])
def test_parts_of_a_global_batch_add_up_to_its_loss(ranks, steps):
    z, labels, weight = (torch.tensor(part) for part in make_rows(n=31))
    logits = z.requires_grad_()
    whole = partial_focal(logits, labels, weight=weight)
    (expected,) = torch.autograd.grad(whole, logits, retain_graph=True)
    total = weight.sum()
    parts = torch.tensor_split(torch.arange(31), [2, 2, 9, 20, 25][: ranks * steps - 1])
    assert len(parts) == ranks * steps
    added = [partial_focal(logits[i], labels[i], weight=weight[i], total=total) for i in parts]
    torch.testing.assert_close(sum(added), whole)
    mean = torch.stack(
        [
            partial_focal(logits[i], labels[i], weight=weight[i], total=total / (ranks * steps))
            for i in parts
        ]
    ).mean()
    (averaged,) = torch.autograd.grad(mean, logits)
    torch.testing.assert_close(averaged, expected)


def test_alpha_per_class_follows_the_module_to_its_device_and_file():
    loss = PartialFocalLoss(alpha=[1.0, 2.0, 3.0])
    assert torch.equal(loss.state_dict()["alpha"], torch.tensor([1.0, 2.0, 3.0]))
    assert loss.double().alpha.dtype == torch.float64
    assert "gamma=2.0" in repr(loss)


@pytest.mark.parametrize("option", ["gamma", "ignore_index", "alpha"])
def test_a_module_refuses_options_it_cannot_honour(option):
    values = {"gamma": -1.0, "ignore_index": True, "alpha": torch.ones(2, 2)}
    with pytest.raises(RecipeError, match=option):
        PartialFocalLoss(**{option: values[option]})


def test_alpha_of_another_length_than_the_classes_is_refused():
    with pytest.raises(RecipeError, match="alpha of shape"):
        partial_focal(torch.zeros(3, 4), torch.zeros(3, dtype=torch.long), alpha=torch.ones(3))


@pytest.mark.parametrize(
    ("logits", "labels", "weight"),
    [
        (torch.zeros(3, 4, 5), torch.zeros(3, dtype=torch.long), None),
        (torch.zeros(3, 4), torch.zeros(2, dtype=torch.long), None),
        (torch.zeros(3, 4), torch.tensor([0, 1, 4]), None),
        (torch.zeros(3, 4), torch.tensor([0, -1, 2]), None),
        (torch.zeros(3, 4), torch.zeros(3), None),
        (torch.zeros(3, 4), torch.zeros(3, dtype=torch.long), torch.ones(3, 1)),
    ],
)
def test_places_that_make_no_sense_are_refused(logits, labels, weight):
    with pytest.raises(PointsError, match="need"):
        partial_focal(logits, labels, weight=weight)


def test_maps_that_do_not_fit_their_labels_are_refused():
    logits, target, mask = make_map()
    for wrong in (
        lambda: PartialFocalLoss()(logits, target[:1]),
        lambda: PartialFocalLoss()(logits[0], target),
        lambda: PartialFocalLoss()(logits, target, mask[:, None]),
        lambda: PartialFocalLoss()(logits, target.float()),
        lambda: PartialFocalLoss(ignore_index=-1)(logits, target),
        lambda: sample_logits(logits, torch.zeros(3, 3), torch.zeros(3).long(), size=(12, 17)),
        lambda: sample_logits(logits, torch.zeros(3, 2), torch.zeros(2).long(), size=(12, 17)),
        lambda: sample_logits(logits, torch.zeros(1, 2), torch.tensor([2]), size=(12, 17)),
    ):
        with pytest.raises(PointsError):
            wrong()
    assert issubclass(PointsError, (LandvisorError, ValueError))


def test_a_scalar_alpha_is_divided_out_unless_asked_for():
    z, labels, weight = (torch.tensor(part) for part in make_rows())
    plain = make_loss(FitSpec())(z, labels, weight)
    torch.testing.assert_close(make_loss(FitSpec(alpha=0.25))(z, labels, weight), plain)
    kept = make_loss(FitSpec(alpha=0.25, normalise_alpha=False))(z, labels, weight)
    torch.testing.assert_close(kept, 0.25 * plain)
    classes = [0.5, 2.0, 1.0, 0.5]
    both = make_loss(FitSpec(alpha=0.25, normalise_alpha=False), classes)(z, labels, weight)
    torch.testing.assert_close(both, 0.25 * make_loss(FitSpec(), classes)(z, labels, weight))


def test_every_registered_loss_can_be_made_and_a_callable_too():
    z, labels, weight = (torch.tensor(part) for part in make_rows())
    for name in LOSSES:
        assert make_loss(FitSpec(loss=name))(z, labels, weight, total=10.0).ndim == 0
    entropy = make_loss(FitSpec(loss="ce", gamma=3.0))(z, labels, weight)
    torch.testing.assert_close(entropy, partial_focal(z, labels, gamma=0, weight=weight))
    own = make_loss(FitSpec(), loss=lambda logits, labels, **options: logits.sum())
    torch.testing.assert_close(own(z, labels, weight), z.sum())


def test_the_gradient_of_picked_logits_is_that_of_plain_indexing_and_has_one_itself():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    coords = torch.tensor([[0.0, 0.0], [4.0, 6.0], [4.0, 6.0], [2.3, 3.6]], dtype=torch.float64)
    batch = torch.tensor([0, 1, 1, 0])
    picked = sample_logits(logits, coords[:3], batch[:3], size=(5, 7))
    (ours,) = torch.autograd.grad((picked**2).sum(), logits, create_graph=True)
    row, col = coords[:3].long().T
    (plain,) = torch.autograd.grad((logits[batch[:3], :, row, col] ** 2).sum(), logits)
    assert torch.equal(ours, plain)
    read = lambda values: sample_logits(values, coords, batch, size=(5, 7))  # noqa: E731
    assert torch.autograd.gradcheck(read, (logits,))
    assert torch.autograd.gradgradcheck(read, (logits,))
