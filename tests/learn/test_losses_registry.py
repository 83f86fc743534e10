"""What holds for every registered loss and for sums of them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import DiceLoss
from segmentation_models_pytorch.losses._functional import softmax_focal_loss_with_logits

from landvisor.errors import PointsError, RecipeError
from landvisor.learn.losses import LOSSES, make_loss, partial_binary, partial_focal, sample_logits
from landvisor.loss_sum import LOSS_NAMES, PLACE_LOSSES, SET_LOSSES
from landvisor.recipe import FitSpec

SUM = "ce + 0.5*dice"
EVERY = [*LOSSES, SUM]
SPECS = {name: FitSpec(loss=name, gamma=1.5) for name in EVERY}


@st.composite
def places(draw):
    """Draw logits, labels and weights; some classes and some places may be without any."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, classes = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    weight = generator.integers(0, 4, n)
    weight[0] = 1
    return (
        torch.tensor(generator.normal(0, draw(st.sampled_from([0.1, 3.0])), (n, classes))),
        torch.tensor(generator.integers(0, classes, n)),
        torch.tensor(weight, dtype=torch.float64),
    )


def make_rows(n=30, classes=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        2 * torch.randn(n, classes, generator=generator),
        torch.randint(classes, (n,), generator=generator),
        torch.rand(n, generator=generator),
    )


def test_the_registry_holds_the_names_that_recipes_may_use():
    assert sorted(LOSSES) == sorted(LOSS_NAMES)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10, deadline=None)
@given(drawn=places(), seed=st.integers(0, 1000))
def test_the_order_of_places_does_not_matter(name, drawn, seed):
    logits, labels, weight = drawn
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    loss = make_loss(SPECS[name])
    moved = loss(logits[order], labels[order], weight[order])
    torch.testing.assert_close(moved, loss(logits, labels, weight))


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10, deadline=None)
@given(drawn=places(), factor=st.floats(1e-3, 1e3))
def test_weights_count_relative_to_each_other(name, drawn, factor):
    logits, labels, weight = drawn
    loss = make_loss(SPECS[name])
    plain = loss(logits, labels, weight)
    torch.testing.assert_close(loss(logits, labels, factor * weight), plain)
    divided = loss(logits, labels, weight, total=factor * weight.sum())
    torch.testing.assert_close(divided, plain / factor)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10, deadline=None)
@given(drawn=places())
def test_a_place_of_whole_weight_counts_as_so_many_places(name, drawn):
    logits, labels, weight = drawn
    copies = weight.long()
    loss = make_loss(SPECS[name])
    copied = loss(logits.repeat_interleave(copies, dim=0), labels.repeat_interleave(copies))
    torch.testing.assert_close(copied, loss(logits, labels, weight))


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_is_that_of_differences(name):
    logits, labels, weight = make_rows(n=6)
    loss = make_loss(SPECS[name], [0.5, 2.0, 1.0, 0.7])
    exact = logits.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: loss(z, labels, weight.double()), (exact,))


@pytest.mark.parametrize("name", EVERY)
def test_places_without_weight_reach_neither_loss_nor_gradient(name):
    logits, labels, weight = make_rows()
    weight[:10] = 0
    loss = make_loss(SPECS[name], adjustment=torch.arange(4.0))
    for bad in (float("nan"), float("inf"), -float("inf")):
        spoilt = logits.clone()
        spoilt[:10] = bad
        spoilt.requires_grad_()
        found = loss(spoilt, labels, weight)
        found.backward()
        torch.testing.assert_close(found, loss(logits[10:], labels[10:], weight[10:]))
        assert torch.isfinite(spoilt.grad).all()
        assert (spoilt.grad[:10] == 0).all()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("total", [None, 7.0])
def test_no_place_gives_an_exact_zero_with_a_graph(name, total):
    dense = torch.randn(2, 4, 8, 8, requires_grad=True)
    none = torch.zeros(0, dtype=torch.long)
    labels = torch.zeros(8, dtype=torch.long)
    loss = make_loss(SPECS[name], torch.ones(4), adjustment=torch.arange(4.0))
    for rows, of in (
        (sample_logits(dense, torch.zeros(0, 2), none, size=(8, 8)), none),
        (dense[0, :, 0].T, labels),
    ):
        dense.grad = None
        found = loss(rows, of, torch.zeros(len(of)), total=total)
        assert found.item() == 0
        found.backward()
        assert (dense.grad == 0).all()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_saturated_logits_have_finite_gradients(name, gamma):
    for height in (20.0, 200.0, 1e5):
        logits = torch.tensor([[height, 0.0, 0.0], [0.0, height, 0.0]], requires_grad=True)
        loss = make_loss(FitSpec(loss=name, gamma=gamma))(logits, torch.tensor([0, 0]))
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", EVERY)
def test_a_sure_right_answer_costs_nothing_and_a_sure_wrong_one_most(name):
    labels = torch.tensor([0, 1, 2, 0])
    sure = 50 * torch.eye(3)[labels]
    loss = make_loss(SPECS[name])
    right, doubtful, wrong = loss(sure, labels), loss(0 * sure, labels), loss(-sure, labels)
    assert right.item() == pytest.approx(0, abs=1e-6)
    assert right < doubtful < wrong


@pytest.mark.parametrize("name", EVERY)
def test_autocast_changes_nothing_and_half_precision_is_read_as_float32(name):
    logits, labels, weight = make_rows()
    loss = make_loss(SPECS[name], adjustment=torch.arange(4.0))
    plain = loss(logits, labels, weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = loss(logits, labels, weight)
        half = loss(logits.bfloat16(), labels, weight)
    assert torch.equal(inside, plain)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, loss(logits.bfloat16().float(), labels, weight))


def test_no_loss_depends_on_the_size_of_the_tile():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1), torch.nn.AvgPool2d(2), torch.nn.Conv2d(3, 4, 1)
    )
    tile = torch.randn(1, 2, 64, 64)
    coords, labels = 8 + 48 * torch.rand(30, 2), torch.randint(4, (30,))
    batch = torch.zeros(30, dtype=torch.long)
    found = []
    with torch.no_grad():
        for side in (64, 256, 1024):
            image = torch.randn(1, 2, side, side)
            image[:, :, -64:, -64:] = tile
            rows = sample_logits(network(image), coords + side - 64, batch, size=(side, side))
            found.append(torch.stack([make_loss(SPECS[n])(rows, labels) for n in EVERY]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[2], found[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_scalar_alpha_only_rescales(name):
    logits, labels, weight = make_rows()
    spec = {"loss": name, "normalise_alpha": False}
    kept = make_loss(FitSpec(alpha=0.25, **spec))(logits, labels, weight)
    torch.testing.assert_close(kept, 0.25 * make_loss(FitSpec(**spec))(logits, labels, weight))


@pytest.mark.parametrize("name", LOSSES)
def test_only_losses_that_say_so_use_gamma_and_smoothing(name):
    logits, labels, weight = make_rows()

    def ask(**options):
        return LOSSES[name](logits, labels, **{"gamma": 0.0, "weight": weight, **options}).item()

    assert (ask() != ask(gamma=2.0)) == (name in {"focal", "bce_dice_focal"})
    assert (ask() != ask(smoothing=0.2)) == (name in PLACE_LOSSES) == (name not in SET_LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_refuses_what_makes_no_sense(name):
    logits, labels, _ = make_rows()
    with pytest.raises(PointsError):
        LOSSES[name](logits, labels[:3])
    with pytest.raises(PointsError):
        LOSSES[name](logits, labels + 1)
    with pytest.raises(RecipeError, match="alpha of shape"):
        LOSSES[name](logits, labels, alpha=torch.ones(3))
    with pytest.raises(TypeError):
        LOSSES[name](logits, labels, gama=2.0)


def test_bce_dice_focal_is_the_sum_of_its_three_parts():
    logits, labels, _ = make_rows()
    dice = DiceLoss(mode="multiclass")(logits.T[None, :, None], labels[None, None])
    focal = softmax_focal_loss_with_logits(logits, labels, gamma=2.0)
    expected = partial_binary(logits, labels) + dice + focal
    ours = LOSSES["bce_dice_focal"](logits, labels, gamma=2.0)
    torch.testing.assert_close(ours, expected)
    alike = make_loss(FitSpec(loss="bce + dice + focal", gamma=2.0))(logits, labels)
    torch.testing.assert_close(alike, expected)


def test_a_sum_adds_its_terms_each_times_its_factor():
    logits, labels, weight = make_rows()
    classes = [0.5, 2.0, 1.0, 0.7]

    def ask(loss, smoothing=0.0):
        spec = FitSpec(loss=loss, gamma=2.0, label_smoothing=smoothing)
        return make_loss(spec, classes)(logits, labels, weight, total=11.0)

    expected = 2 * ask("ce", 0.1) + 0.5 * ask("lovasz")
    torch.testing.assert_close(ask("2*ce + 0.5*lovasz", 0.1), expected)
    torch.testing.assert_close(ask("0.5*dice"), 0.5 * ask("dice"))


def test_an_adjustment_is_added_to_the_logits():
    logits, labels, weight = make_rows()
    shift = torch.tensor([0.0, -1.0, 2.0, 0.5])
    adjusted = make_loss(FitSpec(), adjustment=shift)(logits, labels, weight)
    expected = partial_focal(logits + shift, labels, gamma=0.0, weight=weight)
    torch.testing.assert_close(adjusted, expected)
