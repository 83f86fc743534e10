"""One grid holds many scenes, moves as few pixels as it can, and has no pixel too many."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from landvisor.errors import SceneError
from landvisor.geo.common_grid import mosaic_grid
from landvisor.geo.regrid import Regrid
from landvisor.geo.scene import scene_from_array
from landvisor.geo.warp import warp_scene

PLACE = Affine(10, 0, 500_003, 0, -10, 5_000_001)
HERE = Affine.identity()


def make(move=HERE, *, crs="EPSG:32633", shape=(1, 40, 50), name="s"):
    return scene_from_array(np.ones(shape, np.uint8), crs=crs, transform=PLACE @ move, name=name)


def test_one_scene_is_its_own_grid():
    for move in (Affine.identity(), Affine.rotation(30), Affine.scale(1, -1)):
        scene = make(move)
        assert mosaic_grid([scene]) == scene.grid


def test_scenes_of_one_lattice_are_held_exactly_and_only_shifted():
    scenes = [make(), make(Affine.translation(30, -12)), make(Affine.translation(-7, 100))]
    grid = mosaic_grid(scenes)
    assert grid == GeoBox((152, 87), PLACE @ Affine.translation(-7, -12), "EPSG:32633")
    assert all(Regrid(scene.grid, grid).shift is not None for scene in scenes)


def test_every_pixel_of_every_scene_is_in_the_grid_and_its_edges_are_needed():
    scenes = [
        make(),
        make(Affine.translation(30.4, -12) @ Affine.rotation(20)),
        scene_from_array(
            np.ones((1, 60, 60), np.uint8),
            crs="EPSG:32634",
            transform=Affine(10, 0, 28_250, 0, -10, 5_017_600),
        ),
    ]
    grid = mosaic_grid(scenes)
    valid = np.zeros(grid.shape, dtype=bool)
    for scene in scenes:
        found = warp_scene(scene, grid).read().valid
        assert abs(found.sum() / scene.read().valid.sum() - 1) < 0.05
        valid |= found
    rows, cols = np.nonzero(valid)
    assert (rows.min(), cols.min()) <= (1, 1)
    assert rows.max() >= grid.shape[0] - 2
    assert cols.max() >= grid.shape[1] - 2
    assert grid.affine.a == 10, "a neighbouring zone's 9.99 m are no finer pixels"
    assert Regrid(scenes[0].grid, grid).shift is not None


def test_the_finest_scene_sets_the_pixel_from_the_first_ones_corner():
    grid = mosaic_grid([make(), make(Affine.translation(10, 10) @ Affine.scale(0.5))])
    assert (grid.affine.a, grid.affine.e) == (5, -5)
    assert (grid.affine.c, grid.affine.f) == (500_003, 5_000_001)
    assert grid.shape == (80, 100)


def test_a_resolution_and_bounds_may_be_given():
    bounds = (500_000, 4_999_900, 500_203, 5_000_001)
    grid = mosaic_grid([make()], resolution=20, bounds=bounds)
    assert grid.affine == Affine(20, 0, 499_983, 0, -20, 5_000_001)
    assert grid.shape == (6, 11)


def test_another_crs_keeps_the_size_of_pixels():
    scene = make()
    grid = mosaic_grid([scene], crs="EPSG:3035")
    assert (grid.crs, -grid.affine.e) == ("EPSG:3035", grid.affine.a)
    assert grid.affine.a == pytest.approx(10, rel=0.01)
    assert (grid.affine.c / grid.affine.a) % 1 == pytest.approx(0, abs=1e-6)
    degrees = mosaic_grid([scene], crs="EPSG:4326").affine.a
    assert degrees == pytest.approx(10 / 111_000 / np.cos(np.radians(45)) ** 0.5, rel=0.02)
    assert mosaic_grid([scene], crs="EPSG:3035", resolution=100).affine.a == 100
    assert mosaic_grid([scene], crs="EPSG:32633") == scene.grid


@pytest.mark.parametrize(
    ("scenes", "how", "said"),
    [
        ([], {}, "no scene was given"),
        ([make(), make(crs=None, name="plain")], {}, "scene 'plain' has no CRS"),
        ([make(), make(shape=(3, 40, 50), name="rgb")], {}, "'rgb' has 3 bands and 's' has 1"),
        ([make()], {"resolution": 0}, "resolution 0 was given"),
        ([make()], {"crs": "EPSG:99999"}, "CRS 'EPSG:99999' .* not known"),
        ([make()], {"crs": "EPSG:4326", "resolution": 10}, "pixels 0.000.* wide in its CRS"),
        ([make()], {"resolution": 0.0001}, "resolution 0.0001 was given .* metres"),
        ([make()], {"bounds": (1, 1, 0, 0)}, r"bounds \(1, 1, 0, 0\) are empty"),
        ([make(crs="EPSG:4326", name="far")], {"crs": "EPSG:32633"}, "scene 'far' .*no places"),
    ],
)
def test_what_has_no_common_grid_is_one_line(scenes, how, said):
    with pytest.raises(SceneError, match=said) as caught:
        mosaic_grid(scenes, **how)
    assert "\n" not in str(caught.value)
