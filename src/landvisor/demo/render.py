"""How the synthetic landscape looks from above: reflectance, relief, shadows, haze, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from landvisor.demo.layout import (
    BARE,
    BUILT,
    CROPLAND,
    FOREST,
    NO_DATA,
    WATER,
    WETLAND,
    Layout,
)
from landvisor.demo.noise import Field, make_fractal, scatter_crowns
from landvisor.demo.village import HOUSES

PIXEL_M = 2.0
_SUN_AZIMUTH_DEG, _SUN_HEIGHT_DEG = 135.0, 42.0
_SCALE = 10_000

# Reflectance in blue, green, red and near infrared: typical values of land at 2 m, rounded.
_WATER = np.array([0.050, 0.058, 0.040, 0.022])
_SILT = np.array([0.075, 0.095, 0.080, 0.045])
_CONIFER = np.array([0.030, 0.055, 0.036, 0.270])
_BROADLEAF = np.array([0.038, 0.082, 0.048, 0.420])
_GRASS = np.array([0.044, 0.084, 0.064, 0.310])
_DRY_GRASS = np.array([0.065, 0.105, 0.105, 0.300])
_REED = np.array([0.040, 0.062, 0.057, 0.185])
_GRAVEL = np.array([0.095, 0.123, 0.150, 0.205])
_SOIL = np.array([0.075, 0.100, 0.128, 0.195])
_ASPHALT = np.array([0.088, 0.105, 0.120, 0.150])
_CROPS = np.array(
    [
        [0.034, 0.086, 0.040, 0.500],  # green
        [0.080, 0.146, 0.186, 0.330],  # ripe
        [0.060, 0.078, 0.098, 0.150],  # ploughed
        [0.047, 0.096, 0.064, 0.390],  # young
        [0.040, 0.085, 0.056, 0.350],  # grassland (index -1)
    ]
)
_ROOFS = np.array(
    [
        [0.085, 0.100, 0.165, 0.210],
        [0.090, 0.104, 0.138, 0.185],
        [0.118, 0.126, 0.134, 0.165],
        [0.075, 0.078, 0.082, 0.100],
        [0.190, 0.200, 0.205, 0.225],
    ]
)
_HAZE = np.array([0.20, 0.17, 0.15, 0.16])


def render(layout: Layout, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Render a landscape as the digital numbers of a sensor.

    Returns:
        uint16 `[band, row, col]` of blue, green, red and near infrared, reflectance times
        10 000; 0 outside of the swath and nowhere else.
    """
    canopy, tint = _grow_canopy(layout, rng)
    surface = _paint(layout, rng, tint=tint)
    height = canopy + np.where(layout.village.roof >= 0, 6.0, 0.0)
    light = _shade(layout.elevation + height, layout)
    seen = surface * light
    blurred = np.stack([gaussian_filter(band, 0.65) for band in seen])
    return _record(_add_haze(blurred, rng), rng, missing=layout.truth == NO_DATA)


def _grow_canopy(layout: Layout, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return the height of crowns in metres, and a tint per crown around 0."""
    shape = (layout.truth.shape[0], layout.truth.shape[1])
    distance, nearest, count = scatter_crowns(shape, rng, pitch=4.6)
    radius, tall = rng.uniform(2.4, 3.7, count)[nearest], rng.uniform(7.0, 15.0, count)[nearest]
    dome = np.sqrt(np.maximum(0.0, 1.0 - (distance / radius) ** 2))
    garden = (layout.truth == BUILT) & (layout.village.roof < 0) & ~layout.village.paved
    lone = rng.random(count)[nearest]
    wooded = (layout.truth == FOREST) | (garden & (lone < 0.20))
    shrub = (layout.truth == WETLAND) & (lone < 0.12)
    height = np.where(wooded, dome * tall, 0.0) + np.where(shrub, 0.25 * dome * tall, 0.0)
    return height, rng.normal(0.0, 1.0, count)[nearest]


def _paint(layout: Layout, rng: np.random.Generator, *, tint: Field) -> Field:
    """Return reflectance `[band, row, col]` in flat light, class by class."""
    shape = (layout.truth.shape[0], layout.truth.shape[1])
    patches = make_fractal(shape, rng, slope=2.2, largest=120)
    grain = make_fractal(shape, rng, slope=0.9, largest=12)
    truth = layout.truth
    surface = _paint_grass(patches, grain)
    for label, painted in (
        (CROPLAND, _paint_crops(layout, rng, patches=patches, grain=grain)),
        (FOREST, _paint_woods(rng, tint=tint, patches=patches)),
        (
            BARE,
            _vary(_mix(_GRAVEL, _SOIL, share=0.35 + 0.3 * patches), 0.10 * patches + 0.13 * grain),
        ),
        (
            WETLAND,
            _vary(_mix(_REED, _GRASS, share=0.25 + 0.5 * patches), 0.13 * grain + 0.1 * patches),
        ),
        (WATER, _paint_water(layout, grain=grain, patches=patches)),
        (BUILT, _paint_village(layout, rng, tint=tint, patches=patches)),
    ):
        surface = np.where(truth == label, painted, surface)
    return surface


def _paint_grass(patches: Field, grain: Field) -> Field:
    return _vary(_mix(_GRASS, _DRY_GRASS, share=0.3 + 0.35 * patches), 0.07 * grain)


def _paint_crops(
    layout: Layout, rng: np.random.Generator, *, patches: Field, grain: Field
) -> Field:
    parcels = layout.parcels
    count = len(parcels.crop)
    kind = parcels.crop[parcels.index]
    pitch = rng.uniform(4.2, 6.5, count)[parcels.index]
    rows = np.cos(2 * np.pi * parcels.across / pitch)
    depth = np.array([0.13, 0.13, 0.18, 0.22, 0.0])[kind]
    tracks = np.where(np.abs(parcels.across % 27 - 13) < 1.3, -0.16, 0.0)
    vigour = rng.normal(0.0, 0.06, count)[parcels.index]
    crop = np.moveaxis(_CROPS[kind], -1, 0)
    thin = np.clip(0.12 + 0.16 * patches - 0.25 * depth * rows, 0.0, 0.8)
    mixed = crop + (_SOIL[:, None, None] - crop) * thin
    return _vary(mixed, vigour + depth * rows + tracks * (kind >= 0) + 0.05 * grain)


def _paint_woods(rng: np.random.Generator, *, tint: Field, patches: Field) -> Field:
    shape = (patches.shape[0], patches.shape[1])
    stand = make_fractal(shape, rng, slope=3.0)
    return _vary(_mix(_BROADLEAF, _CONIFER, share=0.5 + 0.55 * stand + 0.12 * tint), 0.14 * tint)


def _paint_water(layout: Layout, *, grain: Field, patches: Field) -> Field:
    land = gaussian_filter((layout.truth != WATER).astype(np.float64), 4.0)
    return _vary(_mix(_WATER, _SILT, share=1.1 * land + 0.08 * patches), 0.03 * grain)


def _paint_village(
    layout: Layout, rng: np.random.Generator, *, tint: Field, patches: Field
) -> Field:
    gardens = _vary(_mix(_GRASS, _GRAVEL, share=0.15 + 0.2 * patches), 0.08 * tint)
    kinds = rng.choice(len(_ROOFS), size=HOUSES, p=[0.34, 0.26, 0.20, 0.13, 0.07])
    roofs = np.moveaxis(_ROOFS[kinds[layout.village.roof]], -1, 0)
    roofs = _vary(
        roofs, 0.16 * layout.village.ridge + rng.normal(0, 0.09, HOUSES)[layout.village.roof]
    )
    built = np.where(layout.village.roof >= 0, roofs, gardens)
    paving = _vary(np.broadcast_to(_ASPHALT[:, None, None], built.shape), 0.05 * patches)
    return np.where(layout.village.paved, paving, built)


def _mix(first: Field, second: Field, *, share: Field) -> Field:
    """Blend two spectra `[band]` by a share `[row, col]`, clipped to 0..1."""
    part = np.clip(share, 0.0, 1.0)
    return np.asarray(first[:, None, None] * (1 - part) + second[:, None, None] * part)


def _vary(spectra: Field, change: Field) -> Field:
    """Brighten spectra `[band, row, col]` by a relative change `[row, col]`."""
    return np.asarray(spectra * np.maximum(0.3, 1.0 + change))


def _shade(surface: Field, layout: Layout) -> Field:
    """Return light `[band, row, col]`: relief by Lambert's law, and shadows that are bluish."""
    azimuth, sun = np.deg2rad(_SUN_AZIMUTH_DEG), np.deg2rad(_SUN_HEIGHT_DEG)
    ground_rows, ground_cols = np.gradient(layout.elevation, PIXEL_M)
    rows, cols = np.gradient(surface, PIXEL_M)
    rows, cols = (g + 0.45 * (s - g) for g, s in ((ground_rows, rows), (ground_cols, cols)))
    facing = -cols * np.sin(azimuth) + rows * np.cos(azimuth)
    direct = (np.sin(sun) + facing * np.cos(sun)) / np.sqrt(1 + rows**2 + cols**2) / np.sin(sun)
    flat = np.where(layout.truth == WATER, 1.0, np.clip(direct, 0.15, 1.6))
    lit = flat * (1 - _cast_shadows(surface))
    sky = np.array([0.34, 0.28, 0.24, 0.20])[:, None, None]
    return np.asarray(sky + (1 - sky) * lit)


def _cast_shadows(surface: Field) -> Field:
    """Return how deep each pixel lies in shadow, 0..1, by stepping towards the sun."""
    azimuth, sun = np.deg2rad(_SUN_AZIMUTH_DEG), np.deg2rad(_SUN_HEIGHT_DEG)
    deepest = np.zeros_like(surface)
    for step in range(1, 11):
        offset = (step * np.cos(azimuth), -step * np.sin(azimuth))
        towards = shift(surface, offset, order=1, mode="nearest")
        deepest = np.maximum(deepest, towards - surface - step * PIXEL_M * np.tan(sun))
    return np.asarray(np.clip(deepest / 1.5, 0.0, 1.0))


def _add_haze(seen: Field, rng: np.random.Generator) -> Field:
    shape = (seen.shape[1], seen.shape[2])
    share = np.clip(0.07 + 0.035 * make_fractal(shape, rng, slope=3.4), 0.0, 0.3)
    return np.asarray(seen * (1 - share) + _HAZE[:, None, None] * share)


def _record(
    seen: Field, rng: np.random.Generator, *, missing: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    noise = rng.standard_normal(seen.shape) * (0.0015 + 0.006 * np.sqrt(np.maximum(seen, 0.0)))
    numbers = np.clip(np.rint((seen + noise) * _SCALE), 1, 65_535).astype(np.uint16)
    numbers[:, missing] = 0
    return numbers
