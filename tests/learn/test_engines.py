"""Every engine computes what torch computes, within what its numbers can hold."""

import numpy as np
import openvino
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from landvisor.card import Card, card_classes
from landvisor.errors import ModelError
from landvisor.geo.legend import legend_from_ids
from landvisor.learn.bf16_rounding import round_filters
from landvisor.learn.encoder_features import FrozenEncoder
from landvisor.learn.engine_kinds import ENGINES, Recorder, find_kind
from landvisor.learn.engine_parts import change_engines, has_trees, list_parts
from landvisor.learn.engines import TorchEngine, import_package
from landvisor.learn.engines_openvino import (
    OpenVinoEngine,
    convert_module,
    quantise,
    save_for_bf16,
    save_openvino,
)
from landvisor.learn.ensemble import join_models
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model
from landvisor.learn.nets import build_network
from landvisor.learn.network_predictor import make_predictor
from landvisor.learn.pixel_features import FeatureReader
from landvisor.learn.scaling import Scaling
from landvisor.recipe import NetSpec, Recipe

SPEC = NetSpec(model="plain_unet", widths=(8, 8, 16))
TOLERANCES = {
    "torch-fp32": 1e-6, "openvino-fp32": 1e-5, "onnxruntime-fp32": 1e-5,
    "torch-bf16": 0.05, "openvino-bf16": 0.05, "openvino-int8": 0.2,
}  # fmt: skip
"""Largest difference of a probability; bfloat16 has 8 bits, int8 as many for a whole range."""


def make_model(seed=0, spec=SPEC):
    network = build_network(spec, ("a", "b"), classes=3, seed=seed)
    card = Card(
        kind="network",
        classes=card_classes(legend_from_ids((1, 2, 3))),
        bands=("a", "b"),
        dtype="uint8",
        mean=(100.0, 100.0),
        std=(40.0, 40.0),
        input_mean=(100.0, 100.0),
        input_std=(40.0, 40.0),
        recipe=Recipe(net=spec),
    )
    return Model(
        card, make_predictor(network, Scaling((100.0,) * 2, (40.0,) * 2), precision="fp32")
    )


def draw(count=2, rows=40, cols=56, seed=0):
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 255, (count, 2, rows, cols)).astype(np.uint8)
    return data, generator.uniform(size=(count, rows, cols)) > 0.1


def run_with(model, name, folder):
    """Write what an engine needs and return the model that it computes."""
    recorders = {}

    def listen(part):
        return recorders.setdefault(part.name, Recorder(part.engine))

    change_engines(model, listen).predict(*draw(seed=9))

    def choose(part):
        kind = find_kind(name, part)
        path = folder / f"{part.name}{kind.suffix}"
        if kind.write:
            kind.write(part, recorders[part.name].images, path)
        return kind.load(part, path)

    return change_engines(model, choose)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_agrees_with_torch_at_any_size(name, tmp_path):
    model = make_model()
    changed = run_with(model, name, tmp_path)
    for window in (draw(), draw(1, 33, 70), draw(3, 8, 9)):
        wanted, found = model.predict(*window), changed.predict(*window)
        assert found.dtype == np.float32
        assert np.abs(found - wanted).max() <= TOLERANCES[name]
        assert np.array_equal(found, changed.predict(*window)), "equal input, equal bits"


@pytest.mark.usefixtures("one_thread")
def test_places_are_predicted_by_the_engine_too(tmp_path):
    changed = run_with(make_model(), "openvino-fp32", tmp_path).predictor
    data, valid = draw()
    coords, batch = np.array([[3.0, 4.0], [30.0, 50.0]]), np.array([0, 1])
    found = changed.predict_at(data, valid, coords=coords, batch=batch)
    whole = changed.predict(data, valid)
    assert found == pytest.approx(np.stack([whole[0, :, 3, 4], whole[1, :, 30, 50]]), abs=1e-5)


def test_quantising_the_same_images_gives_the_same_bytes(tmp_path):
    (part,) = list_parts(make_model())
    images = [np.random.default_rng(k).normal(size=(1, 2, 32, 32)).astype("f4") for k in range(4)]
    for name in ("a", "b"):
        save_openvino(quantise(convert_module(part.module, part.example()), images),
                      tmp_path / f"{name}.xml")  # fmt: skip
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


def test_the_parts_of_an_ensemble_are_changed_each_by_its_name():
    model = join_models([make_model(0), make_model(1)])
    assert [part.name for part in list_parts(model)] == ["0.network", "1.network"]
    assert not has_trees(model)

    class Nothing:
        def run(self, image):
            return (torch.zeros(len(image), 3, image.shape[2] // 2, image.shape[3] // 2),)

    def mute(part):
        return Nothing() if part.name == "1.network" else part.engine

    window = draw()
    found = change_engines(model, mute).predict(*window)
    assert found == pytest.approx(make_model(0).predict(*window) / 2 + 1 / 6, abs=1e-6)
    assert np.array_equal(
        model.predict(*window), join_models([make_model(0), make_model(1)]).predict(*window)
    )


def test_a_frozen_encoder_is_a_part_that_stays_exact():
    encoder = FrozenEncoder(
        torch.nn.Conv2d(2, 4, 1), (1,), (4,), Scaling((0.0,) * 2, (1.0,) * 2), (1,)
    )
    model = Model(make_model().card, InstantPredictor(FeatureReader((), encoder), None))
    (part,) = list_parts(model)
    assert part.name == "encoder"
    assert has_trees(model)
    assert find_kind("openvino-int8", part) is ENGINES["openvino-fp32"]
    assert find_kind("torch-bf16", part) is ENGINES["torch-fp32"]

    class Twice:
        def run(self, image):
            return tuple(2 * maps for maps in part.engine.run(image))

    changed = change_engines(model, lambda _: Twice()).predictor.reader.encoder
    data, valid = draw(1)
    (once,), (twice,) = encoder.encode(data[0], valid[0]), changed.encode(data[0], valid[0])
    assert torch.equal(twice.values, 2 * once.values)


def test_a_missing_library_is_named_with_what_installs_it():
    with pytest.raises(ModelError, match=r"'no_such_one' is needed.*'landvisor\[openvino\]'"):
        import_package("no_such_one", extra="openvino")


def test_torch_in_bfloat16_gives_bfloat16():
    (part,) = list_parts(make_model())
    image = torch.zeros(1, 2, 16, 16)
    with torch.inference_mode():
        assert TorchEngine(part.module, bf16=True).run(image)[0].dtype == torch.bfloat16


FILTERS = arrays.arrays(
    np.float32, (5, 3, 3), elements=st.floats(-16, 16, width=32, allow_subnormal=False)
)


@given(FILTERS)
def test_rounded_filters_are_bfloat16_near_and_keep_their_sum(filters):
    found = round_filters(filters)
    assert (found.view(np.uint32) & 0xFFFF == 0).all()
    step = np.abs(filters) / 2**7 + 1e-30
    assert (np.abs(found - filters) <= step).all()
    nearest = torch.from_numpy(filters).bfloat16().float().numpy().astype(float)
    off = np.abs((found.astype(float) - filters).sum(axis=(1, 2)))
    assert (off <= np.abs((nearest - filters).sum(axis=(1, 2))) + 1e-12).all()


def write_for_bf16(path):
    (part,) = list_parts(make_model())
    example = part.example()
    exact = convert_module(part.module, example)
    save_openvino(exact, path / "exact.xml")
    save_for_bf16(exact, path / "low.xml", shape=example.shape)
    core = openvino.Core()
    return [
        [
            node.input_value(1).get_node().data
            for node in core.read_model(path / name).get_ordered_ops()
            if node.get_type_name() in ("Convolution", "GroupConvolution")
        ]
        for name in ("exact.xml", "low.xml")
    ]


def test_for_bfloat16_the_first_filters_and_the_last_stay_exact(tmp_path):
    exact, low = write_for_bf16(tmp_path)
    assert len(exact) == len(low) > 5
    edges = [*range(3), len(low) - 1]
    for place, (wanted, found) in enumerate(zip(exact, low, strict=True)):
        if place in edges:
            assert np.array_equal(wanted, found)
        else:
            assert (np.ascontiguousarray(found).view(np.uint32) & 0xFFFF == 0).all()
    assert (tmp_path / "low.xml").read_text().count('name="precise"') == len(edges)


def test_where_precisions_cannot_be_mixed_all_is_bfloat16(tmp_path, monkeypatch):
    def fail(self, image):
        raise RuntimeError("object is not initialized")

    monkeypatch.setattr(OpenVinoEngine, "run", fail)
    write_for_bf16(tmp_path)
    assert "precise" not in (tmp_path / "low.xml").read_text()


def test_the_taps_of_a_filter_that_cancel_out_still_do():
    filters = np.random.default_rng(0).normal(size=(200, 3, 3)).astype(np.float32)
    filters -= filters.mean(axis=(1, 2), keepdims=True)
    nearest = torch.from_numpy(filters).bfloat16().float().numpy()
    left, before = (
        np.abs(kind.sum(axis=(1, 2))).mean() for kind in (round_filters(filters), nearest)
    )
    assert left < before / 5
    single = filters[:, :1, :1]
    assert np.array_equal(
        round_filters(single), torch.from_numpy(single).bfloat16().float().numpy()
    )
