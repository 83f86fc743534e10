"""How much the models of an ensemble disagree, from their windows to the raster."""

import numpy as np
import pytest
import rasterio

from landvisor.accuracy.uncertainty import measure_disagreement
from landvisor.geo.coding import measure_spread
from landvisor.geo.collection import as_collection
from landvisor.geo.scene import scene_from_array
from landvisor.learn.ensemble import join_models
from landvisor.options import Options
from landvisor.predict.making import make_maps
from landvisor.predict.stream import predict_rows, predict_scene
from landvisor.recipe import PredictSpec

SMALL = PredictSpec(window=32, overlap=8, local_prior=0)


@pytest.fixture
def scene():
    data = np.random.default_rng(0).uniform(0, 6, (1, 70, 90)).astype(np.float32)
    data[0, :10, :20] = np.nan
    return scene_from_array(data, name="s")


@pytest.fixture
def several(make_model, make_constant):
    return join_models([make_model(), make_model(make_constant(0.7, 0.2, 0.1))], weights=[3.0, 1.0])


def expect(model, scene):
    data, valid = scene.read()
    parts, weights = zip(*model.predictor.list_parts(), strict=True)
    told = np.stack([part.predict(data[None], valid[None])[0] for part in parts])
    return measure_disagreement(np.moveaxis(told, 1, -1), weights), valid


@pytest.mark.parametrize("models", [1, 2, 5])
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_the_fast_way_is_the_definition(models, classes):
    generator = np.random.default_rng(models)
    told = generator.dirichlet(np.full(classes, 0.3), (models, 13, 17))
    told[:, 0, 0] = np.eye(classes)[0]  # all sure of one class
    weights = generator.dirichlet(np.ones(models))
    found = np.empty((13, 17), np.float32)
    planes = np.ascontiguousarray(np.moveaxis(told, -1, 1)).astype(np.float32)
    measure_spread(planes, weights.astype(np.float32), found)
    np.testing.assert_allclose(found, measure_disagreement(told, weights), atol=2e-5)


@pytest.mark.parametrize("tta", ["none", "d4"])
def test_rows_of_a_map_have_it_whatever_the_windows(several, scene, tta):
    spec = SMALL.model_copy(update={"tta": tta})
    expected, valid = expect(several, scene)
    found = predict_scene(several, scene, spec).disagreement
    np.testing.assert_allclose(found[valid], expected[valid], atol=3e-5)
    assert expected[valid].max() > 0.3


def test_one_model_disagrees_with_nobody(make_model, scene):
    assert all(part.disagreement is None for part in predict_rows(make_model(), scene, SMALL))
    alike = join_models([make_model(), make_model()])
    assert predict_scene(alike, scene, SMALL).disagreement.max() < 1e-5


def test_members_of_members_count_by_their_share(make_model, make_constant, several):
    nested = join_models([several, make_model(make_constant(0.1, 0.1, 0.8))])
    weights = [weight for _, weight in nested.predictor.list_parts()]
    assert weights == pytest.approx([0.375, 0.125, 0.5])


def test_the_mean_is_the_same_to_the_bit(several, scene):
    data, valid = scene.read()
    planes = several.predictor.predict_spread(data[None], valid[None])
    np.testing.assert_array_equal(planes[:, :-1], several.predict(data[None], valid[None]))


@pytest.mark.parametrize("block", [(16, 16), (70, 90)])
def test_the_raster_has_a_third_band(several, scene, tmp_path, block):
    spec = SMALL.model_copy(update={"block": block, "tta": "none", "backend": "torch"})
    (made,) = make_maps(several, as_collection(scene), work=tmp_path, spec=spec, options=Options())
    expected, valid = expect(several, scene)
    with rasterio.open(made.files.uncertainty) as raster:
        assert raster.descriptions[2] == "disagreement of models"
        codes = raster.read(3)
    assert (codes[~valid] == 255).all()
    np.testing.assert_allclose(codes[valid] / 254, expected[valid], atol=0.5 / 254 + 3e-5)
    with rasterio.open(made.files.probabilities) as raster:
        np.testing.assert_allclose(raster.read()[:, valid].sum(axis=0) / 254, 1, atol=3 / 254)
