import numpy as np
import pytest

from landvisor.learn.cutting import Cutting
from landvisor.learn.distort import KNOTS, distort, draw_shifts
from landvisor.learn.targets import Targets

SIDE = 128


def make_targets(coords):
    count = len(coords)
    return Targets(
        np.asarray(coords, dtype=float).reshape(-1, 2), np.arange(count), np.ones(count, "f4"),
        np.zeros(count, "u1"),
    )  # fmt: skip


def make_chip(coords=(), *, guide=None):
    image = np.stack(np.mgrid[:SIDE, :SIDE]).astype("f4")  # its values are its rows and columns
    return Cutting(image, np.ones((SIDE, SIDE), dtype=bool), make_targets(coords), guide)


@pytest.mark.parametrize("kind", KNOTS)
@pytest.mark.parametrize("pixels", [2.0, 30.0])
def test_a_place_stays_on_what_it_was_on(kind, pixels):
    coords = np.random.default_rng(0).uniform(0, SIDE - 1, (200, 2))
    shifts = draw_shifts(np.random.default_rng(1), SIDE, kind=kind, pixels=pixels)
    bent = distort(make_chip(coords), shifts, stride=2)
    assert 100 < len(bent.targets) <= 200
    row, col = np.round(bent.targets.coords).astype(int).T
    valid = bent.valid[row, col]
    seen = bent.image[:, row, col].T[valid]
    wanted = coords[bent.targets.label][valid]
    assert np.abs(seen - wanted).max() < 1.5  # a pixel's centre is half a pixel away, bent
    assert np.abs(bent.targets.coords - coords[bent.targets.label]).max() > 1


@pytest.mark.parametrize("kind", KNOTS)
def test_shifts_never_fold_a_chip_and_are_as_large_as_asked(kind):
    wild = draw_shifts(np.random.default_rng(2), SIDE, kind=kind, pixels=500.0)
    for axis in (1, 2):
        assert np.abs(np.diff(wild, axis=axis)).sum(axis=0).max() <= 0.5 + 1e-5
    mild = [draw_shifts(np.random.default_rng(k), 256, kind=kind, pixels=1.0) for k in range(20)]
    knots = np.stack(mild)[..., :: KNOTS[kind], :: KNOTS[kind]]
    assert knots.std() == pytest.approx(1.0, abs=0.1)


def test_no_shift_changes_nothing():
    coords = np.random.default_rng(3).uniform(0, SIDE - 1, (20, 2))
    guide = np.random.default_rng(4).random((3, SIDE // 2, SIDE // 2)).astype("f4")
    chip = make_chip(coords, guide=guide)
    bent = distort(chip, np.zeros((2, SIDE, SIDE), "f4"), stride=2)
    assert np.array_equal(bent.image, chip.image)
    assert bent.valid.all()
    assert np.array_equal(bent.targets.coords, coords)
    assert bent.guide == pytest.approx(guide)


def test_a_guide_is_bent_like_the_image():
    guide = make_chip().image.reshape(2, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    shifts = draw_shifts(np.random.default_rng(5), SIDE, kind="elastic", pixels=2.0)
    bent = distort(make_chip(guide=guide), shifts, stride=2)
    inner = slice(8, -8)
    cells = bent.image.reshape(2, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    assert bent.guide[:, inner, inner] == pytest.approx(cells[:, inner, inner], abs=0.3)


def test_no_data_stays_out_and_comes_in_at_the_border():
    chip = make_chip()
    valid = chip.valid.copy()
    valid[:, 60:] = False
    image = np.where(valid, chip.image, np.nan).astype("f4")
    shifts = np.zeros((2, SIDE, SIDE), "f4")
    shifts[0] = 5
    bent = distort(Cutting(image, valid, chip.targets), shifts, stride=2)
    assert not bent.valid[-4:].any()
    assert np.isfinite(bent.image).all()
    assert bent.valid[: SIDE - 5, :60].all()
    assert not bent.valid[:, 60:].any()
