"""Receptive fields of networks whose field is known in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landvisor.geo.filterbank import SIGMAS, filter_bank_margin
from landvisor.geo.places import make_places
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import Ensemble
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model
from landvisor.learn.network_predictor import NetworkPredictor
from landvisor.learn.pixel_features import FeatureReader
from landvisor.learn.receptive import find_sight, measure_field
from landvisor.learn.scaling import Scaling

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 97


def convolve(kernel, *, channels=1):
    """Respond with copies of one convolution of the first band, the borders padded."""
    weight = torch.as_tensor(kernel, dtype=torch.float32)[None, None].repeat(channels, 1, 1, 1)
    half = kernel.shape[0] // 2

    def respond(image):
        return [(F.conv2d(F.pad(image, (half,) * 4), weight), 1.0)]

    return respond


def images(count=1, bands=1, side=SIDE):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(1, bands, side, side, generator=generator) for _ in range(count)]


def radius_of(energy, share=0.95):
    """Return the radius by definition: pixels are added in the order of their distance."""
    half = energy.shape[0] // 2
    rows, cols = np.indices(energy.shape) - half
    distance = np.hypot(rows, cols)
    for radius in np.unique(distance):
        if energy[distance <= radius].sum() >= share * energy.sum() * (1 - 1e-9):
            return radius
    raise AssertionError


@pytest.mark.parametrize("side", [1, 3, 9, 21])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_box_is_seen_as_far_as_its_pixels_lie(side, channels):
    found = measure_field(convolve(np.ones((side, side)), channels=channels), images())
    assert found == pytest.approx(radius_of(np.ones((side, side))))
    assert (side - 1) / 2 <= found <= (side - 1) / 2 * 2**0.5


@pytest.mark.parametrize("sigma", [2.0, 4.0, 7.0])
def test_a_gaussian_is_seen_as_far_as_its_square_says(sigma):
    place = np.arange(-40, 41)
    line = np.exp(-(place**2) / (2 * sigma**2))
    found = measure_field(convolve(np.outer(line, line)), images())
    # the energy is a Gaussian of width sigma / sqrt 2, of which 1 - exp(-r²/sigma²) lies within r
    assert found == pytest.approx(sigma * np.sqrt(-np.log(0.05)), abs=0.5)


def test_a_chain_of_layers_sees_their_convolution():
    kernel = torch.ones(1, 1, 5, 5)

    def respond(image):
        once = F.conv2d(image, kernel, padding=2)
        return [(F.conv2d(once, kernel, padding=2), 1.0)]

    line = np.convolve(np.ones(5), np.ones(5))
    expected = radius_of(np.outer(line, line) ** 2)
    assert measure_field(respond, images()) == pytest.approx(expected)


def test_pixels_that_a_relu_cuts_off_do_not_count():
    def respond(image):
        half = SIDE // 2
        gate = torch.zeros(1, 1, SIDE, SIDE)
        gate[..., half - 1 : half + 2, half - 1 : half + 2] = 1
        return [(F.conv2d(F.pad(torch.relu(image.abs() * gate), (10,) * 4),
                          torch.ones(1, 1, 21, 21)), 1.0)]  # fmt: skip

    assert measure_field(respond, images()) == pytest.approx(2**0.5)


def test_a_coarse_cell_stands_for_its_own_pixels():
    def respond(image):
        return [(F.avg_pool2d(image, 8), 8.0)]

    # every pixel of a block of 8 counts alike; its centre lies between pixels
    rows, cols = np.indices((8, 8)) - 3.5
    expected = np.sort(np.hypot(rows, cols).ravel())[int(np.ceil(0.95 * 64)) - 1]
    assert measure_field(respond, images(side=96)) == pytest.approx(expected)


def test_several_channels_add_their_energies():
    narrow, wide = np.zeros((9, 9)), np.full((9, 9), 1.0)
    narrow[4, 4] = 9.0  # as much energy as all pixels of the wide one

    def respond(image):
        weight = torch.as_tensor(np.stack([narrow, wide]), dtype=torch.float32)[:, None]
        return [(F.conv2d(image, weight, padding=4), 1.0)]

    expected = radius_of(narrow**2 + wide**2, share=0.5)
    found = measure_field(respond, images(24), share=0.5)
    assert found == pytest.approx(expected, abs=1.5)


def test_what_responds_to_nothing_looks_nowhere():
    assert measure_field(lambda image: [(image * 0, 1.0)], images()) == 0
    assert measure_field(lambda image: [(image, 1.0)], []) == 0


class Box(torch.nn.Module):
    """A network of one box at stride 1."""

    stride = 1

    def __init__(self, side):
        super().__init__()
        self.layer = torch.nn.Conv2d(2, 3, side, padding=side // 2, bias=False)
        torch.nn.init.ones_(self.layer.weight)

    def forward(self, image):
        return self.layer(image)


@pytest.fixture
def scene():
    pixels = np.random.default_rng(0).integers(0, 255, (2, 120, 90), dtype=np.uint8)
    return scene_from_array(pixels)


def network_model(side):
    scaling = Scaling((0.0, 0.0), (255.0, 255.0))
    card = SimpleNamespace(kind="network")
    return Model(card, NetworkPredictor(Box(side), scaling, SimpleNamespace()))


def trees_model(sigmas):
    card = SimpleNamespace(kind="instant")
    return Model(card, InstantPredictor(FeatureReader(sigmas), SimpleNamespace()))


def find(model, scene):
    places = make_places(np.array([[10.0, 80.0], [60.0, 45.0]]), np.array([1, 2]))
    return find_sight(model, [scene], places)


def test_a_networks_sight_is_its_field(scene):
    found = find(network_model(9), scene)
    assert found.distance == pytest.approx(radius_of(np.ones((9, 9))))
    assert "receptive field of the network" in found.method


def test_trees_look_as_far_as_what_they_read(scene):
    assert find(trees_model(()), scene).distance == 0
    assert find(trees_model(SIGMAS), scene).distance == filter_bank_margin(SIGMAS)


def test_of_several_members_the_farthest_sight_counts(scene):
    members = network_model(21), trees_model((1.0,))
    joined = Model(SimpleNamespace(kind="ensemble"), Ensemble(members, (0.5, 0.5)))
    assert find(joined, scene).distance == pytest.approx(radius_of(np.ones((21, 21))))
