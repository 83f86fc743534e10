"""Chips change as drawn, repeatably, and never make up pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landvisor.learn.augment import (
    Chip,
    apply_geometry,
    collate,
    draw_geometry,
    jitter_colour,
    make_generator,
)
from landvisor.learn.targets import Geometry, Targets


def make_targets(coords):
    n = len(coords)
    return Targets(
        np.asarray(coords, dtype=np.float64).reshape(n, 2),
        np.arange(n),
        np.full(n, 0.5, np.float32),
        np.ones(n, np.uint8),
    )


def make_image(shape=(20, 24), bands=3, seed=0):
    return np.random.default_rng(seed).normal(size=(bands, *shape)).astype(np.float32)


def test_a_sample_is_drawn_alike_in_any_order():
    draws = {
        (seed, epoch, sample): make_generator(seed, epoch=epoch, sample=sample).random()
        for seed in (0, 1)
        for epoch in (0, 1)
        for sample in (0, 1)
    }
    assert len(set(draws.values())) == 8
    assert draws[1, 0, 1] == make_generator(1, epoch=0, sample=1).random()


def test_a_large_enough_source_fills_every_chip():
    scale, out_size = (0.75, 1.33), (48, 48)
    for sample in range(200):
        generator = make_generator(0, epoch=0, sample=sample)
        geometry = draw_geometry(generator, shape=(64, 90), out_size=out_size, scale=scale)
        _, valid = apply_geometry(
            make_image((64, 90), 1), np.ones((64, 90), bool), geometry=geometry, out_size=out_size
        )
        assert valid.all()
        assert scale[0] <= geometry.zoom <= scale[1]


def test_a_small_source_lies_whole_inside_its_chip():
    for sample in range(50):
        generator = make_generator(0, epoch=0, sample=sample)
        geometry = draw_geometry(generator, shape=(9, 13), out_size=(20, 20))
        _, valid = apply_geometry(
            make_image((9, 13), 1), np.ones((9, 13), bool), geometry=geometry, out_size=(20, 20)
        )
        assert valid.sum() == 9 * 13


def test_all_symmetries_are_drawn_and_none_unless_asked():
    options = {"shape": (32, 32), "out_size": (32, 32)}
    generator = np.random.default_rng(0)
    drawn = [draw_geometry(generator, **options) for _ in range(300)]
    assert len(set(drawn)) == 8
    assert draw_geometry(generator, flips=False, **options) == Geometry()
    sideways = {draw_geometry(generator, flips="sideways", **options) for _ in range(50)}
    assert sideways == {Geometry(), Geometry(mirror=True)}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_symmetries_copy_pixels_exactly(mirror, turns):
    image = make_image()
    geometry = Geometry(mirror=mirror, turns=turns)
    out_size = geometry.turned((20, 24))
    moved, valid = apply_geometry(
        image, np.ones((20, 24), bool), geometry=geometry, out_size=out_size
    )
    expected = np.rot90(image[:, :, ::-1] if mirror else image, turns, axes=(1, 2))
    assert np.array_equal(moved, expected)
    assert valid.all()


@pytest.mark.parametrize("zoom", [0.5, 0.8, 1.25, 2.0])
def test_a_zoom_agrees_with_interpolate(zoom):
    image = make_image((20, 40))
    out_size = round(20 * zoom), round(40 * zoom)
    moved, valid = apply_geometry(
        image, np.ones((20, 40), bool), geometry=Geometry(zoom=zoom), out_size=out_size
    )
    expected = F.interpolate(
        torch.from_numpy(image)[None], scale_factor=zoom, mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(moved, expected, atol=1e-5)
    assert valid.all()


@pytest.mark.parametrize("zoom", [1.0, 1.3])
def test_pixels_beyond_the_source_are_no_data(zoom):
    geometry = Geometry(zoom=zoom, offset=(-6, -4))
    image, valid = apply_geometry(
        np.ones((2, 10, 10)), np.ones((10, 10), bool), geometry=geometry, out_size=(30, 30)
    )
    assert valid.sum() == (10 * zoom) ** 2
    assert valid[6, 4]
    assert not valid[5].any()
    assert (image[:, ~valid] == 0).all()
    np.testing.assert_allclose(image[:, valid], 1)


@pytest.mark.parametrize("zoom", [1.0, 0.7, 1.4])
@pytest.mark.parametrize("fill", [np.nan, -9999.0])
def test_no_data_never_leaks_into_valid_pixels(zoom, fill):
    valid = np.random.default_rng(0).random((40, 40)) < 0.7
    image = np.where(valid, 5.0, fill)[None]
    moved, kept = apply_geometry(
        image, valid, geometry=Geometry(zoom=zoom, turns=1), out_size=(28, 28)
    )
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved[:, kept], 5, rtol=1e-6)
    assert (moved[:, ~kept] == 0).all()
    assert 0.5 < kept.mean() < 0.95


@pytest.mark.parametrize("shape", [(40, 48), (41, 47)])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_cells_of_any_size_move_as_the_pixels_they_stand_for(shape, stride):
    """A map of positions, kept at half the resolution, says where each cell came from."""
    cells = tuple(-(-length // 2) for length in shape)
    grid = np.stack(np.indices(cells)).astype(np.float64)
    position = (grid + 0.5) * (np.array(shape) / cells)[:, None, None] - 0.5
    geometry = Geometry(mirror=True, turns=3, zoom=1.25, offset=(5, 8))
    moved, valid = apply_geometry(
        position,
        np.ones(cells, bool),
        geometry=geometry,
        out_size=(32, 32),
        shape=shape,
        stride=stride,
    )
    assert moved.shape == (2, 32 // stride, 32 // stride)
    assert valid.all()
    centres = (np.indices(valid.shape).reshape(2, -1).T + 0.5) * stride - 0.5
    expected = geometry.backward(centres, shape)
    inside = ((expected > 1) & (expected < np.array(shape) - 2)).all(axis=1)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(moved.reshape(2, -1).T[inside], expected[inside], atol=1e-4)


def test_colour_changes_stay_within_their_strength():
    data = make_image((30, 30), bands=4)
    std = np.array([1, 2, 3, 4], np.float32)
    changed = jitter_colour(data, np.random.default_rng(0), strength=0.1, std=std)
    assert changed.dtype == np.float32
    for before, after, deviation in zip(data, changed, std, strict=True):
        contrast, brightness = np.polyfit(before.ravel(), after.ravel(), 1)
        assert 0 < abs(contrast - 1) <= 0.1
        assert 0 < abs(brightness) <= 0.1 * deviation
    assert np.array_equal(jitter_colour(data, np.random.default_rng(0), strength=0.0), data)


def test_a_batch_knows_which_chip_each_place_is_in():
    chips = [
        Chip(make_image(seed=seed), np.ones((20, 24), bool), make_targets(coords))
        for seed, coords in enumerate(([[1, 2], [3.25, 4]], [], [[5, 6.5]]))
    ]
    batch = collate(chips)
    assert batch.image.shape == (3, 3, 20, 24)
    assert batch.valid.dtype == torch.bool
    assert batch.batch.tolist() == [0, 0, 2]
    assert batch.coords.tolist() == [[1, 2], [3.25, 4], [5, 6.5]]
    assert batch.label.tolist() == [0, 1, 0]
    assert batch.weight.dtype == batch.coords.dtype == torch.float32


def test_chips_without_places_make_a_batch_too():
    chip = Chip(make_image(), np.ones((20, 24), bool), make_targets([]))
    batch = collate([chip, chip])
    assert batch.coords.shape == (0, 2)
    assert batch.batch.dtype == batch.label.dtype == torch.int64
