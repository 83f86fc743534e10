import numpy as np
import pytest
import torch
import torch.nn.functional as F

from landvisor.card import Card, card_classes
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import join_models
from landvisor.learn.instant import InstantPredictor, set_stride
from landvisor.learn.model import Model
from landvisor.learn.nodes import fill_between, read_between
from landvisor.learn.pixel_features import FeatureReader
from landvisor.predict.stream import predict_scene
from landvisor.recipe import PredictSpec, Recipe

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (1, 1)])
def test_between_cells_a_map_is_what_torch_makes_of_it(shape):
    values = RNG.normal(size=(*shape, 3)).astype("f4")
    into = np.empty((4 * shape[0], 4 * shape[1], 3), dtype="f4")
    read_between(values, *((np.arange(4 * n) + 0.5) / 4 - 0.5 for n in shape), into)
    wanted = F.interpolate(
        torch.from_numpy(values).permute(2, 0, 1)[None], scale_factor=4, mode="bilinear"
    )
    assert into == pytest.approx(wanted[0].permute(1, 2, 0).numpy(), abs=1e-6)


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("shape", [(9, 13), (10, 12), (1, 1), (2, 3)])
def test_what_is_linear_is_filled_exactly_up_to_the_last_node(shape, stride):
    plane = np.add.outer(np.arange(shape[0]), 2.0 * np.arange(shape[1]))[..., None].astype("f4")
    nodes = plane[::stride, ::stride]
    filled, reached = fill_between(
        nodes, np.ones(nodes.shape[:2], bool), shape=shape, stride=stride
    )
    inside = tuple(slice((n - 1) // stride * stride + 1) for n in shape)
    assert filled[inside] == pytest.approx(plane[inside], abs=1e-5)
    assert filled.max() <= nodes.max()
    assert reached.all()


def test_nothing_comes_in_from_nodes_without_data():
    shares = np.full((4, 4, 2), np.nan, dtype="f4")
    shares[:2] = [0.3, 0.7]
    known = np.zeros((4, 4), dtype=bool)
    known[:2] = True
    filled, reached = fill_between(shares, known, shape=(8, 8), stride=2)
    assert reached[:4].all()
    assert not reached[4:].any()
    assert filled[:4] == pytest.approx(np.broadcast_to(np.float32([0.3, 0.7]), (4, 8, 2)))


class Echo:
    """Gives the first two features back, and counts what it is asked."""

    def tensors(self):
        return {}

    def __init__(self):
        self.asked = 0

    def predict(self, rows):
        self.asked += rows[..., 0].size
        return rows[..., :2].copy()


class Flat:
    """An encoder without maps."""

    def tensors(self):
        return {}

    def encode(self, data, valid):
        return []


def draw(rows=31, cols=18):
    data = np.stack(np.mgrid[:rows, :cols]).astype("f4")[None]
    return data, np.ones((1, rows, cols), dtype=bool)


def test_a_stride_asks_for_fewer_pixels_and_keeps_what_is_linear():
    data, valid = draw()
    whole, some = (InstantPredictor(FeatureReader((), Flat()), Echo(), n) for n in (1, 3))
    exact, near = whole.predict(data, valid), some.predict(data, valid)
    assert whole.classifier.asked == 31 * 18
    assert some.classifier.asked == 11 * 6
    assert near[..., :31, :16] == pytest.approx(exact[..., :31, :16], abs=1e-4)


def test_valid_pixels_far_from_any_known_node_are_asked_themselves():
    data, valid = draw()
    valid[:] = False
    valid[0, 4:6, 4:6] = True  # between the nodes of stride 8
    predictor = InstantPredictor(FeatureReader((), Flat()), Echo(), 8)
    found = predictor.predict(data, valid)
    assert found[0, :, 4:6, 4:6] == pytest.approx(data[0, :, 4:6, 4:6])


def test_without_an_encoder_every_pixel_is_asked():
    data, valid = draw()
    predictor = InstantPredictor(FeatureReader(()), Echo(), 4)
    assert predictor.predict(data, valid) == pytest.approx(data)
    assert predictor.classifier.asked == 31 * 18


def make_model():
    card = Card(
        kind="instant", classes=card_classes(legend_from_ids([1, 2])), bands=("row", "col"),
        dtype="float32", mean=(0.0, 0.0), std=(1.0, 1.0), recipe=Recipe(),
    )  # fmt: skip
    return Model(card, InstantPredictor(FeatureReader((), Flat()), Echo()))


def test_the_stride_of_instant_models_is_set_wherever_they_are():
    joined = join_models([make_model(), make_model()])
    told = set_stride(joined, 4).predictor
    assert [member.predictor.stride for member in told.members] == [4, 4]
    assert [member.predictor.stride for member in joined.predictor.members] == [1, 1]


@pytest.mark.parametrize(("stride", "asked"), [(1, 64 * 64), (2, 32 * 32), (4, 16 * 16)])
def test_prediction_takes_the_stride_of_its_spec(stride, asked):
    model = make_model()
    scene = scene_from_array(np.stack(np.mgrid[:64, :64]).astype("f4"), bands=("row", "col"))
    predict_scene(model, scene, PredictSpec(window=64, overlap=0, stride=stride, tta="none"))
    assert model.predictor.classifier.asked == asked
