"""A backend is chosen by what it says and how fast, once, and read back gives the same bits."""

import json

import numpy as np
import pytest
import torch

from landvisor.card import Card, card_classes
from landvisor.cli.options import BACKENDS
from landvisor.errors import ModelError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.scene import scene_from_array
from landvisor.learn.engine_kinds import ENGINES, EngineKind
from landvisor.learn.engines import TorchEngine
from landvisor.learn.ensemble import join_models
from landvisor.learn.model import Model
from landvisor.learn.nets import build_network
from landvisor.learn.network_predictor import make_predictor
from landvisor.learn.scaling import Scaling
from landvisor.predict import backends, trials
from landvisor.predict.backends import Backend, apply_backend, prepare_backend
from landvisor.predict.trials import Ground, draw_batches, try_model
from landvisor.recipe import NetSpec, PredictSpec, Recipe

SMALL = PredictSpec(window=32, overlap=0, batch_size=2)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    spec = NetSpec(model="plain_unet", widths=(8, 8, 16))
    network = build_network(spec, ("a",), classes=3, seed=0)
    card = Card(
        kind="network",
        classes=card_classes(legend_from_ids((1, 2, 3))),
        bands=("a",),
        dtype="uint8",
        mean=(100.0,),
        std=(40.0,),
        input_mean=(100.0,),
        input_std=(40.0,),
        recipe=Recipe(net=spec),
    )
    return Model(card, make_predictor(network, Scaling((100.0,), (40.0,)), precision="fp32"))


@pytest.fixture(scope="module")
def scene():
    image = np.random.default_rng(0).integers(1, 255, (1, 100, 90)).astype(np.uint8)
    image[0, :, :30] = 0
    return scene_from_array(image, name="s", nodata=0)


class Wrong:
    """Says the opposite."""

    def __init__(self, module):
        self._engine = TorchEngine(module, bf16=False)

    def run(self, image):
        return tuple(-maps for maps in self._engine.run(image))


@pytest.fixture
def engines(monkeypatch):
    """Only torch, and an engine that is wrong; the last scenes are large enough to choose on."""
    wrong = EngineKind(load=lambda part, _: Wrong(part.module))
    same = EngineKind(load=lambda part, _: TorchEngine(part.module, bf16=False))
    for name in list(ENGINES):
        if name != "torch-fp32":
            monkeypatch.delitem(ENGINES, name)
    monkeypatch.setitem(ENGINES, "openvino-fp32", same)
    monkeypatch.setitem(ENGINES, "openvino-int8", wrong)
    monkeypatch.setattr(backends, "_WORTH", 1)
    monkeypatch.setattr(backends, "has_accelerator", lambda: False)


def set_speeds(monkeypatch, *speeds):
    """Let trials take as long as they are told, in the order in which they are made."""
    left = iter(speeds)
    real = trials._predict
    monkeypatch.setattr(trials, "_predict", lambda *given: (real(*given)[0], next(left)))


def test_auto_refuses_what_disagrees_and_takes_the_fastest_of_the_rest(
    model, scene, engines, monkeypatch, tmp_path, caplog
):
    set_speeds(monkeypatch, 1.0, 2.0, 9.0)
    with caplog.at_level("INFO", logger="landvisor"):
        found = prepare_backend(model, [scene], SMALL, folder=tmp_path)
    assert found.name == "openvino-fp32"
    assert found.agreement == 1
    assert [t.name for t in found.trials] == ["torch-fp32", "openvino-fp32", "openvino-int8"]
    assert [t.megapixels_per_second for t in found.trials] == [1, 2, 9]
    assert "class of torch-fp32" in found.trials[2].refused
    refusals = [line for line in caplog.messages if "is refused" in line]
    assert len(refusals) == 1
    assert refusals[0].startswith("backend openvino-int8 is refused: only ")


def test_auto_keeps_the_more_exact_one_unless_another_is_clearly_faster(
    model, scene, engines, monkeypatch, tmp_path
):
    set_speeds(monkeypatch, 1.0, 1.05, 9.0)
    assert prepare_backend(model, [scene], SMALL, folder=tmp_path).name == "torch-fp32"


def test_what_is_asked_for_by_name_is_used_and_warned_of(model, scene, engines, tmp_path, caplog):
    asked = SMALL.model_copy(update={"backend": "openvino-int8"})
    found = prepare_backend(model, [scene], asked, folder=tmp_path)
    assert found.name == "openvino-int8"
    assert found.agreement < 0.995
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith("backend openvino-int8 is used as asked for, but only ")


def test_agreement_counts_valid_pixels_alone(model, scene, engines):
    batches = draw_batches([scene], SMALL, count=6, seed=0)
    right = model.predict(*batches[0]).argmax(axis=1)
    ground = Ground.measure(model, batches)
    for classes, (_, valid) in zip(ground.classes, batches, strict=True):
        classes[~valid] = 2 - classes[~valid]
    assert try_model(model, ground, name="x").agreement == 1
    valid = batches[0][1]
    ground = Ground([batches[0]], [np.where(np.arange(32) < 8, 3, right).astype(np.uint8)], 1.0)
    share = valid[:, :, 8:].sum() / valid.sum()
    assert try_model(model, ground, name="x").agreement == pytest.approx(share)


@pytest.mark.parametrize("name", ["openvino-int8", "openvino-bf16", "torch-fp32"])
def test_a_backend_read_back_predicts_the_same_bits(model, scene, name, tmp_path):
    asked = SMALL.model_copy(update={"backend": name})
    found = prepare_backend(model, [scene], asked, folder=tmp_path)
    again = Backend.model_validate(json.loads(found.model_dump_json()))
    assert again == found
    assert sorted(found.files) == sorted(path.name for path in tmp_path.iterdir())
    data, valid = (part[None, ..., :64] for part in scene.read())
    first, other = (apply_backend(model, b, folder=tmp_path) for b in (found, again))
    assert np.array_equal(first.predict(data, valid), other.predict(data, valid))
    if name.startswith("openvino"):
        assert not np.array_equal(first.predict(data, valid), model.predict(data, valid))


def test_equal_scenes_are_calibrated_to_equal_bytes(model, scene, tmp_path):
    asked = SMALL.model_copy(update={"backend": "openvino-int8"})
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found.append(prepare_backend(model, [scene], asked, folder=tmp_path / name))
    weights = [b.files["openvino-int8.network.bin"] for b in found]
    assert weights[0] == weights[1]
    assert found[0].agreement == found[1].agreement


def test_files_and_packages_that_changed_are_refused(model, scene, tmp_path):
    asked = SMALL.model_copy(update={"backend": "openvino-fp32"})
    found = prepare_backend(model, [scene], asked, folder=tmp_path)
    older = found.model_copy(update={"versions": {**found.versions, "openvino": "2020.1"}})
    with pytest.raises(ModelError, match=r"prepared with torch .*openvino 2020\.1 but"):
        apply_backend(model, older, folder=tmp_path)
    weights = tmp_path / "openvino-fp32.network.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"'openvino-fp32\.network\.bin' of backend"):
        apply_backend(model, found, folder=tmp_path)


def test_a_backend_that_is_not_installed_says_what_to_install(model, scene, tmp_path, monkeypatch):
    kind = EngineKind(load=None, packages=("no_such_package",), extra="openvino")
    monkeypatch.setitem(ENGINES, "openvino-fp32", kind)
    asked = SMALL.model_copy(update={"backend": "openvino-fp32"})
    with pytest.raises(ModelError, match=r"needs no_such_package.*'landvisor\[openvino\]'"):
        prepare_backend(model, [scene], asked, folder=tmp_path)


def test_nothing_is_tried_where_nothing_can_be_gained(
    model, scene, make_model, make_constant, engines, monkeypatch, tmp_path, caplog
):
    trees = make_model(make_constant(0.2, 0.5, 0.3))
    monkeypatch.setattr(backends, "draw_batches", None)  # nobody may ask for windows
    pair = join_models([model, Model(model.card, trees.predictor)])
    for candidate in (trees, pair):
        found = prepare_backend(candidate, [scene], SMALL, folder=tmp_path)
        assert found == Backend(name="torch")
        assert apply_backend(candidate, found, folder=tmp_path) is candidate
    as_fitted = SMALL.model_copy(update={"backend": "torch"})
    assert prepare_backend(model, [scene], as_fitted, folder=tmp_path).name == "torch"
    monkeypatch.setattr(backends, "_WORTH", 13)
    assert prepare_backend(model, [scene], SMALL, folder=tmp_path).name == "torch"
    named = SMALL.model_copy(update={"backend": "openvino-fp32"})
    assert prepare_backend(trees, [scene], named, folder=tmp_path).name == "torch"
    assert "has no network, so backend openvino-fp32 changes nothing" in caplog.text


def test_all_engines_are_on_offer():
    names = set(PredictSpec.model_fields["backend"].annotation.__args__)
    assert names == set(BACKENDS) == {"auto", "torch", *ENGINES}


def test_a_scene_without_data_needs_no_backend(model, engines, tmp_path):
    empty = scene_from_array(np.zeros((1, 40, 40), np.uint8), nodata=0)
    assert prepare_backend(model, [empty], SMALL, folder=tmp_path).name == "torch"


def test_windows_are_drawn_around_valid_pixels_and_by_seed(scene):
    first, again, other = (draw_batches([scene], SMALL, count=6, seed=s) for s in (0, 0, 1))
    assert sum(len(data) for data, _ in first) == 6
    assert all(valid.any(axis=(1, 2)).all() for _, valid in first)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, other, strict=True))
    small = scene_from_array(np.ones((1, 10, 20), np.uint8))
    shapes = [data.shape for data, _ in draw_batches([small], SMALL, count=6, seed=0)]
    assert shapes == [(1, 1, 10, 20)], "a scene of one window gives no more"
