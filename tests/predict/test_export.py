"""An exported file says what the model says, and what it is."""

import json

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

from landvisor.card import Card, card_classes
from landvisor.cli.main import main
from landvisor.errors import ModelError
from landvisor.geo.legend import LandClass, Legend
from landvisor.geo.rasters import open_scene
from landvisor.learn.engines import TorchEngine
from landvisor.learn.ensemble import join_models
from landvisor.learn.model import Model
from landvisor.learn.model_file import save_model
from landvisor.learn.nets import build_network
from landvisor.learn.network_predictor import make_predictor
from landvisor.learn.scaling import Scaling
from landvisor.predict import export, export_formats
from landvisor.predict.export import ExportSpec, export_model
from landvisor.predict.export_graph import MeanGraph, find_networks
from landvisor.recipe import NetSpec, Recipe

LEGEND = Legend(
    (LandClass(3, "sea", "#0000ff"), LandClass(5, "x", "#000000", ignore=True),
     LandClass(9, "übrig", "#ff0000"))
)  # fmt: skip
SPEC = NetSpec(model="plain_unet", widths=(4, 8, 8))


def make_network(seed=0, prior=()):
    network = build_network(SPEC, ("a", "b"), classes=2, seed=seed)
    card = Card(
        kind="network",
        classes=card_classes(LEGEND),
        bands=("a", "b"),
        dtype="uint8",
        mean=(100.0, 90.0),
        std=(40.0, 30.0),
        histogram=((10.0, 250.0), (5.0, 200.0)),
        input_mean=(100.0, 90.0),
        input_std=(40.0, 30.0),
        recipe=Recipe(net=SPEC),
        prior_factors=prior,
    )
    scaling = Scaling(card.input_mean, card.input_std)
    return Model(card, make_predictor(network, scaling, precision="fp32"))


@pytest.fixture(scope="module")
def ensemble():
    """Two networks, one of them with an area prior, and not alike in weight."""
    return join_models([make_network(0, prior=(0.3, 1.7)), make_network(1)], weights=[3, 1])


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    import rasterio
    from affine import Affine

    path = tmp_path_factory.mktemp("scene") / "s.tif"
    place = {"crs": "EPSG:32633", "transform": Affine(2.5, 0, 500_000, 0, -2.5, 5_000_000)}
    image = np.random.default_rng(3).integers(0, 255, (2, 70, 90)).astype(np.uint8)
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=2, width=90, height=70,
                       **place) as raster:  # fmt: skip
        raster.write(image)
    return path


@pytest.fixture(scope="module")
def dynamic(ensemble, scene, tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_model(ensemble, out, spec=ExportSpec(tile=64), scenes=[open_scene(scene)])
    return out


@pytest.fixture(scope="module")
def tile(ensemble, scene, tmp_path_factory):
    out = tmp_path_factory.mktemp("deepness") / "model.onnx"
    export_model(ensemble, out, spec=ExportSpec("deepness", tile=64), scenes=[open_scene(scene)])
    return onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])


def draw(count, rows, cols, seed=5):
    return np.random.default_rng(seed).integers(0, 255, (count, 2, rows, cols)).astype(np.uint8)


def predict(model, data):
    return model.predict(data, np.ones((len(data), *data.shape[2:]), dtype=bool))


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 37, 61), (2, 5, 100)])
def test_an_ensemble_of_networks_is_one_graph_of_any_size(ensemble, dynamic, shape):
    data = draw(*shape)
    session = onnxruntime.InferenceSession(str(dynamic), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": data.astype(np.float32)})
    assert found == pytest.approx(predict(ensemble, data), abs=1e-5)
    assert [i.name for i in session.get_inputs()] == ["image"]


def test_a_pixel_of_nan_is_no_data(ensemble, dynamic):
    data = draw(1, 20, 30)
    image, valid = data.astype(np.float32), np.ones((1, 20, 30), dtype=bool)
    image[0, 1, 4:9, 5:9], valid[0, 4:9, 5:9] = np.nan, False
    session = onnxruntime.InferenceSession(str(dynamic), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"image": image})
    assert found == pytest.approx(ensemble.predict(data, valid), abs=1e-5)


def test_the_file_says_what_its_classes_are(dynamic):
    proto = onnx.load(str(dynamic))
    onnx.checker.check_model(proto)
    said = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert said["class_names"] == {"0": "sea", "1": "übrig"}
    assert said["class_ids"] == [3, 9]
    assert said["class_colors"] == ["#0000ff", "#ff0000"]
    assert said["bands"] == ["a", "b"]
    assert said["dtype"] == "uint8"


def test_deepness_gets_its_scale_its_tile_and_its_keys(ensemble, tile):
    """As its code reads them: see `landvisor.predict.export_formats.describe_for_deepness`."""
    said = {k: json.loads(v) for k, v in tile.get_modelmeta().custom_metadata_map.items()}
    expected = {
        "model_type": "Segmentor", "tile_size": 64, "tiles_overlap": 25, "resolution": 250.0,
        "seg_thresh": 0.0, "seg_small_segment": 0,
        "standardization_mean": [0.0, 0.0], "standardization_std": [1.0, 1.0],
        "class_names": {"0": "sea", "1": "übrig"},
    }  # fmt: skip
    assert {key: said[key] for key in expected} == expected
    assert [list(port.shape) for port in (*tile.get_inputs(), *tile.get_outputs())] == [
        [1, 2, 64, 64]] * 2  # fmt: skip
    data = draw(1, 64, 64)
    (found,) = tile.run(None, {tile.get_inputs()[0].name: np.float32(data * 1.0 / 255.0)})
    assert found == pytest.approx(predict(ensemble, data), abs=1e-5)
    assert found.sum(axis=1) == pytest.approx(np.ones((1, 64, 64)), abs=1e-5)


def test_openvino_gets_a_folder_that_can_be_replaced(ensemble, tmp_path):
    for _ in range(2):
        export_model(ensemble, tmp_path / "m", spec=ExportSpec("openvino"), overwrite=True)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [
        "model.bin", "model.xml", "run.json"]  # fmt: skip
    model = openvino.Core().read_model(str(tmp_path / "m" / "model.xml"))
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    data = draw(2, 33, 50)
    assert compiled(data.astype(np.float32))[0] == pytest.approx(predict(ensemble, data), abs=1e-5)
    names = json.loads(model.get_rt_info(["landvisor", "class_names"]).astype(str))
    assert names == {"0": "sea", "1": "übrig"}


def test_what_disagrees_with_torch_is_not_published(ensemble, tmp_path, monkeypatch):
    class Off:
        def run(self, image):
            graph = MeanGraph(find_networks(ensemble), unit=1.0).eval()
            (found,) = TorchEngine(graph, bf16=False).run(image)
            return (found.detach() + 0.002,)

    kind = export_formats.Format(lambda *given: given[-1].write_bytes(b"x"), lambda _: Off())
    monkeypatch.setitem(export_formats.FORMATS, "onnx", kind)
    with pytest.raises(ModelError, match=r"differs from torch by 0\.002 in probability"):
        export_model(ensemble, tmp_path / "m.onnx", spec=ExportSpec())
    assert list(tmp_path.iterdir()) == []


class Trees:
    def predict(self, data, valid):
        return np.full((len(data), 2, *valid.shape[1:]), 0.5, np.float32)

    def tensors(self):
        return {}


def test_a_member_with_trees_is_named_or_left_out(ensemble):
    network = make_network()
    trees = Model(network.card, Trees())
    pair = join_models([network, trees], weights=[1, 3], names=["unet", "oak"])
    with pytest.raises(ModelError, match=r"member 'oak' .* cannot be exported.*--network-only"):
        find_networks(pair)
    ((weight, left),) = find_networks(pair, network_only=True)
    assert (weight, left) == (1.0, network)
    with pytest.raises(ModelError, match="whose trees fit no graph; export a network"):
        find_networks(trees, network_only=True)
    nested = join_models([ensemble, network], weights=[1, 1])
    assert [weight for weight, _ in find_networks(nested)] == [0.375, 0.125, 0.5]


def test_imagery_to_check_on_must_fit(ensemble, scene, tmp_path):
    with pytest.raises(ModelError, match="smaller than a tile of 128"):
        export_model(ensemble, tmp_path / "m.onnx", spec=ExportSpec("deepness", tile=128),
                     scenes=[open_scene(scene)])  # fmt: skip


def test_the_command_exports_and_refuses_in_one_line(tmp_path, capsys):
    save_model(make_network(), tmp_path / "m.safetensors")
    call = ["export", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "m.onnx")]
    for options, code, said in (
        (["--format", "deepness", "--tile", "32", "--pixel-size", "0.5"], 0, "m.onnx\n"),
        ([], 1, "exists already"),
        (["--pixel-size", "1"], 2, "--pixel-size is for --format deepness"),
    ):
        with pytest.raises(SystemExit) as stop:
            main([*call, *options])
        out, err = capsys.readouterr()
        assert (stop.value.code or 0, said in out + err) == (code, True)
    found = {e.key: e.value for e in onnx.load(str(tmp_path / "m.onnx")).metadata_props}
    assert json.loads(found["resolution"]) == 50


def test_exporting_leaves_the_model_as_it_was(ensemble):
    data = draw(1, 20, 20)
    before = predict(ensemble, data)
    with torch.inference_mode():
        MeanGraph(find_networks(ensemble), unit=255.0).eval()(torch.zeros(1, 2, 20, 20))
    assert np.array_equal(before, predict(ensemble, data))
    assert export.TOLERANCE < 1 / 254
