import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from landvisor.geo.places import make_places
from landvisor.geo.planes import find_planes, lay_out


def grid(left, top, *, size=2.0, crs="EPSG:32633", angle=0.0):
    turned = Affine.translation(left, top) @ Affine.rotation(angle) @ Affine.scale(size, -size)
    return GeoBox((100, 100), turned, crs)


def test_tiles_of_one_mosaic_share_a_plane_and_others_do_not():
    grids = [
        grid(0, 0), grid(200, 0), grid(0, 0, crs=None), grid(0, 0, crs="EPSG:32632"),
        grid(0, 200, angle=30), grid(0, 0, size=10.0), grid(0, 0, crs=None),
    ]  # fmt: skip
    assert find_planes(grids) == [0, 0, 2, 3, 0, 5, 6]


@pytest.mark.parametrize("angle", [0.0, 30.0])
def test_distances_between_tiles_are_those_on_the_ground(angle):
    grids = [grid(0, 0), grid(210, -4, angle=angle)]
    places = make_places(np.array([[50.0, 99.0], [50.0, 0.0]]), np.ones(2, int), scene=np.arange(2))
    laid = lay_out(places, grids)
    assert laid.scene.tolist() == [0, 0]
    ground = [np.array(g.affine @ (col + 0.5, row + 0.5))
              for g, (row, col) in zip(grids, places.coords, strict=True)]  # fmt: skip
    found = np.hypot(*(laid.coords[0] - laid.coords[1]))
    assert found == pytest.approx(np.hypot(*(ground[0] - ground[1])) / 2)


def test_places_of_plain_pictures_stay_where_they_are():
    grids = [grid(0, 0, crs=None)] * 2
    places = make_places(np.array([[5.0, 6.0], [7.0, 8.0]]), np.ones(2, int), scene=np.arange(2))
    laid = lay_out(places, grids)
    assert laid.scene.tolist() == [0, 1]
    np.testing.assert_array_equal(laid.coords, places.coords)
