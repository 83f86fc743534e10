"""Detectors find what was planted, and nothing among images that belong together."""

from dataclasses import replace

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from landvisor.errors import CollectionError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.scene import scene_from_array
from landvisor.labels.alike import SAME, correlate, find_alike, make_thumbnails
from landvisor.labels.detectors import (
    DETECTORS,
    detect_duplicates,
    detect_feature_outlier,
    detect_identical_masks,
    detect_mean_pixel,
    detect_reconstruction,
    measure_excess,
)
from landvisor.labels.looks import SIZE, look_at, look_at_mask

RING = np.hypot(*np.mgrid[-20:20, -30:30]) < 15


def draw_image(seed, *, shape=(40, 60), level=100.0, spread=10.0, sigma=2.0, bands=2):
    noise = np.random.default_rng(seed).normal(size=(bands, *shape))
    smooth = gaussian_filter(noise, (0, sigma, sigma))
    return (level + spread * smooth / smooth.std()).astype(np.float32)


def make_look(name, data=None, mask=None, seed=0, **options):
    scene = scene_from_array(draw_image(seed) if data is None else data, name=name, **options)
    return look_at(scene, None if mask is None else look_at_mask(mask, None))


def make_looks(count, **options):
    return [make_look(f"i{k}", draw_image(k, **options), 1 + RING) for k in range(count)]


def without_masks(looks):
    return [replace(look, mask=None) for look in looks]


def found(detector, looks):
    return {looks[i].name for i in np.flatnonzero(detector(looks).suspect)}


def test_cells_hold_the_means_and_deviations_of_their_pixels():
    data = np.random.default_rng(0).normal(50, 9, (2, 2 * SIZE, 3 * SIZE))
    look = look_at(scene_from_array(data))
    cells = data.reshape(2, SIZE, 2, SIZE, 3)
    np.testing.assert_allclose(look.mean, cells.mean(axis=(2, 4)), rtol=1e-5)
    np.testing.assert_allclose(look.deviation, cells.std(axis=(2, 4)), rtol=1e-3, atol=1e-3)


def test_cells_of_a_small_image_repeat_its_pixels():
    data = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    look = look_at(scene_from_array(data))
    assert sorted(set(look.mean.ravel().tolist())) == list(range(12))
    assert not look.deviation.any()


def test_no_data_and_infinity_are_in_no_cell():
    data = np.full((1, SIZE, SIZE), 5.0)
    data[0, 0, :2], data[0, 1, 0] = np.nan, np.inf
    look = look_at(scene_from_array(data))
    assert np.isnan(look.mean[0, 0, :2]).all()
    assert np.isnan(look.mean[0, 1, 0])
    assert (look.mean[0][look.seen] == 5).all()
    assert look.constant


def test_a_large_scene_is_read_in_parts_that_show_the_whole():
    ramp = np.broadcast_to(np.arange(4096, dtype=np.uint16)[:, None], (4096, 2048))
    reads = []

    class Counting:
        def read(self, window):
            reads.append(window.rows * window.cols)
            return scene.source.read(window)

    scene = scene_from_array(ramp)
    look = look_at(replace(scene, source=Counting()))
    assert sum(reads) <= 1024 * 1024
    assert (np.diff(look.mean[0, :, 0]) > 0).all()
    assert look.mean[0, 0, 0] < 64
    assert look.mean[0, -1, 0] > 4032


def test_corners_tell_drawn_masks_from_straight_borders():
    half, inside = np.ones((40, 60), int), np.ones((40, 60), int)
    half[:, 30:], inside[10:20, 10:20] = 2, 2
    assert look_at_mask(np.ones((40, 60), int), None).corners == 0
    assert look_at_mask(half, None).corners == 0
    assert look_at_mask(inside, None).corners == 4
    assert look_at_mask(1 + RING, None).corners > 20


def test_a_footprint_of_data_is_no_structure():
    legend = Legend((LandClass(1, "soil", "#aa8855"), LandClass(0, "none", "#000000", ignore=True)))
    look = look_at_mask(RING.astype(int), legend)
    assert (look.classes, look.corners) == (1, 0)


def test_a_drawn_mask_on_different_images_is_found():
    looks = make_looks(3) + [make_look(f"o{k}", seed=9 + k, mask=2 - RING[::-1]) for k in range(9)]
    looks += [make_look("single", seed=30, mask=1 + np.roll(RING, 3))]
    assert found(detect_identical_masks, looks) == {look.name for look in looks[:12]}
    assert "2 other images" in detect_identical_masks(looks).reasons[0]


@pytest.mark.parametrize("mask", [np.ones((40, 60), int), np.repeat([1, 2], 1200).reshape(40, 60)])
def test_crops_of_one_class_or_with_a_straight_border_may_share_a_mask(mask):
    assert not found(
        detect_identical_masks, [make_look(f"{k}", seed=k, mask=mask) for k in range(5)]
    )


def test_images_that_look_alike_may_share_a_mask():
    image = draw_image(0)
    looks = [make_look("a", image, 1 + RING), make_look("b", 2 * image + 5, 1 + RING)]
    assert not found(detect_identical_masks, looks)


def test_two_dates_of_one_place_may_share_a_mask():
    grid = {"crs": "EPSG:32633", "transform": Affine(1, 0, 0, 0, -1, 0)}
    looks = [make_look(f"{k}", draw_image(k), 1 + RING, **grid) for k in range(2)]
    assert not found(detect_identical_masks, looks)


def test_identical_masks_needs_a_mask():
    with pytest.raises(CollectionError, match="--detectors reconstruction"):
        detect_identical_masks(without_masks(make_looks(3)))


def test_duplicates_keep_the_first_by_name():
    image = draw_image(50)
    noise = np.random.default_rng(1).normal(0, 1, image.shape)
    looks = [*make_looks(5), make_look("b", 0.7 * image + 20 + noise), make_look("a", image)]
    assert found(detect_duplicates, looks) == {"b"}
    assert "correlation with a: 0.9" in detect_duplicates(looks).reasons[5]


def test_an_image_of_another_brightness_is_found_by_its_mean():
    looks = [*(make_look(f"{k}", draw_image(k, level=100 + k)) for k in range(20)),
             make_look("dark", draw_image(99, level=20))]  # fmt: skip
    assert found(detect_mean_pixel, looks) == {"dark"}


def draw_series(count):
    """Images that three patterns make, at random strengths, with some noise."""
    random = np.random.default_rng(3)
    patterns = [draw_image(70 + k, spread=30, sigma=6) - 100 for k in range(3)]
    return [
        100 + sum(s * p for s, p in zip(random.normal(1, 0.3, 3), patterns, strict=True))
        + random.normal(0, 1, patterns[0].shape)
        for _ in range(count)
    ]  # fmt: skip


def test_an_image_of_another_structure_is_found_by_reconstruction():
    looks = [make_look(f"{k:02}", image) for k, image in enumerate(draw_series(40))]
    assert not found(detect_reconstruction, looks)
    odd = make_look("odd", draw_image(1, spread=30, sigma=3))
    assert found(detect_reconstruction, [*looks, odd]) == {"odd"}


def test_an_image_of_another_texture_is_found_by_its_features():
    looks = [make_look(f"{k}", draw_image(k, sigma=2 + 0.01 * k)) for k in range(40)]
    odd = make_look("odd", draw_image(99, sigma=0.3))
    assert found(detect_feature_outlier, [*looks, odd]) == {"odd"}


@pytest.mark.parametrize("name", DETECTORS)
def test_the_order_of_images_does_not_matter(name):
    looks = [*make_looks(12, spread=10.0), make_look("odd", 3 * draw_image(5, sigma=0.5))]
    looks += [make_look("twin", draw_image(5, sigma=0.5), 1 + RING)]
    mixed = [looks[i] for i in np.random.default_rng(2).permutation(len(looks))]
    score = {k.name: s for k, s in zip(looks, DETECTORS[name](looks).score, strict=True)}
    again = {k.name: s for k, s in zip(mixed, DETECTORS[name](mixed).score, strict=True)}
    assert found(DETECTORS[name], looks) == found(DETECTORS[name], mixed)
    for key, value in score.items():
        np.testing.assert_allclose(again[key], value, rtol=1e-3, err_msg=key)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
@pytest.mark.parametrize("name", DETECTORS)
def test_few_images_show_no_outlier(name, count):
    looks = [make_look(f"{k}", seed=k, mask=1 + np.roll(RING, k)) for k in range(count)]
    assert not found(DETECTORS[name], looks)


@pytest.mark.parametrize("name", DETECTORS)
def test_constant_images_are_no_outliers_of_each_other(name):
    data = np.full((1, 8, 8), 7, np.uint8)
    looks = [make_look(f"{k}", data, np.ones((8, 8), int)) for k in range(12)]
    assert not found(DETECTORS[name], looks)


def test_thumbnails_of_constant_images_match_nothing():
    looks = [make_look(f"{k}", np.full((1, 50, 50), 0.1 * k, np.float32)) for k in range(4)]
    assert not make_thumbnails(looks).any()


@settings(max_examples=25, deadline=None)
@given(gain=st.floats(0.2, 5), offset=st.floats(-50, 50), seed=st.integers(0, 99))
def test_brightness_and_contrast_change_no_thumbnail(gain, offset, seed):
    image = draw_image(seed)
    pair = make_thumbnails([make_look("a", image), make_look("b", gain * image + offset)])
    assert correlate(pair)[0, 1] > 0.999


def test_pairs_are_found_across_blocks(monkeypatch):
    monkeypatch.setattr("landvisor.labels.alike._BLOCK", 4)
    thumbnails = make_thumbnails([make_look(f"{k}", draw_image(k % 7)) for k in range(10)])
    assert [pair[:2] for pair in find_alike(thumbnails)] == [(0, 7), (1, 8), (2, 9)]
    assert all(pair[2] > SAME for pair in find_alike(thumbnails))


def test_excess_counts_deviations_of_the_long_side():
    assert measure_excess(np.array([0.0, 1, 2, 3, 4])).tolist() == pytest.approx(
        [-2 / 2.2239, -1 / 2.2239, 0, 1 / 2.2239, 2 / 2.2239]
    )
    assert not measure_excess(np.full(5, 3.0)).any()
