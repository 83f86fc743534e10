"""The pairwise term against a loop over all pairs, by hand, and where it must not look."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landvisor.errors import PointsError, RecipeError
from landvisor.learn.pairwise import pairwise_loss

SIGMAS = {"sigma_colour": 0.7, "sigma_position": 1.6}
term = partial(pairwise_loss, **SIGMAS)


def make_batch(size=(9, 14), *, stride=2, classes=4, bands=3, seed=0, share=0.8):
    """Return float64 logits, an image and a mask of which some stride x stride blocks lack."""
    draw = np.random.default_rng(seed)
    cells = [-(-n // stride) for n in size]
    logits = draw.normal(0, 2, (2, classes, *cells))
    image = draw.normal(0, 1, (2, bands, *size))
    valid = draw.uniform(size=(2, *size)) < share
    valid[0, : 2 * stride, :stride] = False
    return torch.tensor(logits), torch.tensor(image), torch.tensor(valid)


def pool(image, valid, *, stride):
    """Average colours over valid pixels, cell by cell; cells with fewer than half are None."""
    rows, cols = valid.shape
    cells = {}
    for row in range(0, rows, stride):
        for col in range(0, cols, stride):
            block = (slice(row, row + stride), slice(col, col + stride))
            inside = valid[block]
            if 2 * inside.sum() >= stride**2:
                cells[row // stride, col // stride] = image[:, *block][:, inside].mean(1)
    return cells


def reference(logits, image, valid, *, stride, radius=3, dilation=1, sigma_colour, sigma_position):
    """Go through all ordered pairs of cells in each other's window, in float64."""
    cost = mass = 0.0
    for z, bands, known in zip(logits.numpy(), image.numpy(), valid.numpy(), strict=True):
        p = np.exp(z) / np.exp(z).sum(0)
        cells = pool(bands, known, stride=stride)
        reach = [dilation * step for step in range(-radius, radius + 1)]
        for (row, col), colour in cells.items():
            for there in ((row + a, col + b) for a in reach for b in reach if a or b):
                if there not in cells:
                    continue
                far = (there[0] - row) ** 2 + (there[1] - col) ** 2
                near = np.exp(-far / (2 * sigma_position**2))
                unlike = np.mean((colour - cells[there]) ** 2)
                alike = np.exp(-unlike / (2 * sigma_colour**2))
                cost += near * alike * (1 - p[:, row, col] @ p[:, *there])
                mass += near
    return cost / mass


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(("radius", "dilation"), [(1, 1), (2, 2), (3, 1), (30, 1)])
def test_value_equals_a_loop_over_all_pairs(stride, radius, dilation):
    logits, image, valid = make_batch(stride=stride)
    options = {"stride": stride, "radius": radius, "dilation": dilation}
    expected = reference(logits, image, valid, **options, **SIGMAS)
    assert expected > 0.01
    assert term(logits, image, valid=valid, **options).item() == pytest.approx(expected, rel=1e-12)
    single = term(logits.float(), image.float(), valid=valid, **options)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected, rel=1e-5)


def test_gradient_equals_differences_of_the_value():
    logits, image, valid = make_batch((6, 7), classes=3, stride=2)
    logits.requires_grad_()
    loss = partial(term, image=image, valid=valid, stride=2, radius=2)
    assert torch.autograd.gradcheck(lambda z: 3 * loss(z), logits)


def pair(first, second, *, colours):
    """Return what two neighbouring cells of certain shares cost."""
    shares = torch.tensor([first, second], dtype=torch.float64).T
    image = torch.tensor(colours, dtype=torch.float64).T
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    return term(shares.log()[None, :, None], image[None, :, None], valid=valid, stride=1).item()


def test_two_cells_cost_what_the_formula_says():
    same, other = [[0.3, 1.0]] * 2, [[0.3, 1.0], [0.8, 1.4]]
    assert pair((0.5, 0.5), (0.5, 0.5), colours=same) == pytest.approx(0.5)
    assert pair((0.9, 0.1), (0.2, 0.8), colours=same) == pytest.approx(1 - 0.26)
    # mean over two bands: (0.5² + 0.4²) / 2
    kept = np.exp(-0.205 / (2 * SIGMAS["sigma_colour"] ** 2))
    assert pair((0.9, 0.1), (0.2, 0.8), colours=other) == pytest.approx(kept * (1 - 0.26))


def test_sure_and_equal_classes_cost_nothing_and_unequal_ones_all():
    image, valid = torch.zeros(1, 3, 40, 40), torch.ones(1, 40, 40, dtype=torch.bool)
    equal = torch.zeros(1, 2, 20, 20)
    equal[:, 0] = 50.0
    assert term(equal, image, valid=valid, stride=2).item() == pytest.approx(0, abs=1e-6)
    unequal = torch.zeros(1, 2, 1, 2)
    unequal[0, 0, 0, 0] = unequal[0, 1, 0, 1] = 50.0
    loss = term(unequal, image[..., :2, :4], valid=valid[:, :2, :4], stride=2)
    assert loss.item() == pytest.approx(1)


def test_an_edge_of_the_image_makes_an_edge_of_the_map_cheap():
    logits, image = torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8)
    logits[:, 0, :, :4] = logits[:, 1, :, 4:] = 50.0
    valid = torch.ones(1, 8, 8, dtype=torch.bool)
    assert term(logits, image, valid=valid, stride=1).item() > 0.1
    image[..., 4:] = 10.0
    assert term(logits, image, valid=valid, stride=1).item() == pytest.approx(0, abs=1e-6)


def test_an_unsure_cell_is_drawn_to_the_class_of_those_that_look_alike():
    logits, image = torch.zeros(1, 2, 3, 6), torch.zeros(1, 1, 3, 6)
    logits[:, 0, :, :3] = logits[:, 1, :, 3:] = 5.0
    image[..., 3:] = 3.0
    logits[0, :, 1, 3] = 0.0
    logits.requires_grad_()
    term(logits, image, valid=torch.ones(1, 3, 6, dtype=torch.bool), stride=1).backward()
    assert logits.grad[0, 1, 1, 3] < 0 < logits.grad[0, 0, 1, 3]


def both(logits, image, valid, **options):
    """Return the value and the gradient."""
    leaf = logits.clone().requires_grad_()
    loss = term(leaf, image, valid=valid, **options)
    (slope,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), slope


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("waste", [7.0, np.nan, np.inf])
def test_what_is_under_no_data_changes_neither_value_nor_gradient(stride, waste):
    logits, image, valid = make_batch((11, 14), stride=stride)
    clean, slope = both(logits, image, valid, stride=stride)
    image = torch.where(valid[:, None], image, waste)
    cells = np.array(
        [
            [key in pool(i, v, stride=stride) for key in np.ndindex(*logits.shape[2:])]
            for i, v in zip(image.numpy(), valid.numpy(), strict=True)
        ]
    )
    gate = torch.tensor(cells).reshape(2, 1, *logits.shape[2:])
    assert 0 < gate.sum() < gate.numel()
    dirty, other = both(torch.where(gate, logits, waste), image, valid, stride=stride)
    assert torch.equal(dirty, clean)
    assert torch.equal(other, slope)
    assert not (slope * ~gate).any()
    assert (slope * gate).any()


def test_a_pair_counts_only_if_both_cells_are_valid():
    logits, image, valid = make_batch((4, 12), stride=1, share=1.1)
    valid[:] = True
    valid[..., 4:8] = False  # wider than the window: the sides do not meet
    halves = [
        (part(logits), part(image), part(valid))
        for part in (lambda m: m[..., :4].contiguous(), lambda m: m[..., 8:].contiguous())
    ]
    apart = [term(z, i, valid=v, stride=1).item() for z, i, v in halves]
    assert term(logits, image, valid=valid, stride=1).item() == pytest.approx(np.mean(apart))


@pytest.mark.parametrize("left", [0, 1])
def test_without_a_pair_the_loss_is_an_exact_zero_with_a_graph(left):
    logits, image, valid = make_batch(stride=1)
    valid[:] = False
    valid[0, 4, :left] = True
    image = torch.where(valid[:, None], image, np.nan)
    value, slope = both(logits, image, valid, stride=1)
    assert value.item() == 0
    assert not slope.any()


def test_a_constant_added_to_the_image_changes_nothing():
    logits, image, valid = make_batch()
    value, slope = both(logits, image, valid, stride=2)
    shift = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)[:, None, None]
    moved, other = both(logits, image + shift, valid, stride=2)
    assert moved.item() == pytest.approx(value.item(), rel=1e-12)
    assert torch.allclose(other, slope, rtol=1e-10, atol=1e-14)


def test_bands_given_twice_change_nothing():
    logits, image, valid = make_batch()
    twice = term(logits, image.repeat(1, 2, 1, 1), valid=valid, stride=2)
    assert twice.item() == pytest.approx(term(logits, image, valid=valid, stride=2).item())


@pytest.mark.parametrize("turn", [lambda m: m.flip(-1), lambda m: m.flip(-2), lambda m: m.mT])
def test_half_a_window_favours_no_direction(turn):
    logits, image, valid = make_batch((10, 14))
    value, slope = both(logits, image, valid, stride=2)
    turned, other = both(turn(logits), turn(image), turn(valid), stride=2)
    assert turned.item() == pytest.approx(value.item(), rel=1e-12)
    assert torch.allclose(other, turn(slope), rtol=1e-10, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    stride=st.sampled_from([1, 2, 4]),
    spread=st.floats(0, 40),
)
def test_the_loss_is_a_share_whatever_the_size(seed, rows, cols, stride, spread):
    logits, image, valid = make_batch((rows, cols), stride=stride, seed=seed)
    value, slope = both(spread * logits.float(), image.float(), valid, stride=stride)
    assert -1e-6 <= value.item() <= 1 + 1e-6
    assert slope.isfinite().all()


def test_autocast_changes_no_digit():
    logits, image, valid = make_batch()
    half, image = logits.bfloat16(), image.float()
    expected, slope = both(half.float(), image, valid, stride=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, other = both(half, image, valid, stride=2)
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    assert torch.equal(other, slope.bfloat16())


def test_layout_and_repetition_change_no_digit():
    logits, image, valid = make_batch((64, 64))
    first = both(logits.float(), image.float(), valid, stride=2)
    torch.use_deterministic_algorithms(True)
    try:
        again = both(logits.float(), image.float(), valid, stride=2)
    finally:
        torch.use_deterministic_algorithms(False)
    last = torch.channels_last
    laid = [m.float().contiguous(memory_format=last) for m in (logits, image)]
    for value, slope in (again, both(*laid, valid, stride=2)):
        assert torch.equal(value, first[0])
        assert torch.equal(slope, first[1])


@pytest.mark.parametrize("radius", [1, 8])
def test_the_backward_pass_keeps_a_few_maps_whatever_the_window(radius):
    logits, image, valid = make_batch((64, 64))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda m: kept.append(m.numel()), lambda m: m):
        term(logits.requires_grad_(), image, valid=valid, stride=2, radius=radius)
    assert sum(kept) <= 2.5 * logits.numel()


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"radius": 0}, "radius 0"),
        ({"dilation": 0}, "dilation 0"),
        ({"stride": 0}, "stride 0"),
        ({"sigma_colour": 0.0}, "sigma_colour 0.0"),
        ({"sigma_position": float("nan")}, "sigma_position nan"),
    ],
)
def test_an_option_without_a_meaning_is_refused(wrong, found):
    logits, image, valid = make_batch()
    with pytest.raises(RecipeError, match=found):
        pairwise_loss(logits, image, valid=valid, **{"stride": 2, **SIGMAS, **wrong})


@pytest.mark.parametrize(
    "cut",
    [
        lambda z, i, v: (z, i, v[:, 1:]),
        lambda z, i, v: (z[:, :, 1:], i, v),
        lambda z, i, v: (z[:1], i, v),
        lambda z, i, v: (z[0], i, v),
        lambda z, i, v: (z, i[:, 0], v),
    ],
)
def test_axes_that_disagree_are_refused(cut):
    logits, image, valid = cut(*make_batch())
    with pytest.raises(PointsError, match="2 pixels per logit"):
        term(logits, image, valid=valid, stride=2)
