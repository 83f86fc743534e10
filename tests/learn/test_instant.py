import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import load, save
from safetensors.torch import save_file

from landvisor.errors import PointsError, RecipeError
from landvisor.geo.legend import legend_from_names
from landvisor.geo.places import make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn import instant
from landvisor.learn.instant import InstantLearner, InstantPredictor
from landvisor.learn.job import Job
from landvisor.recipe import Recipe

LEGEND = legend_from_names(["coarse", "fine", "nowhere"])  # ids 1, 2, 3
ENCODER = "mobilenetv3_small_050"
FAST = {
    "net.model": "instant",
    "instant.trees": 20,
    "instant.sigmas": (1.0, 2.0),
    "predict.window": 64,
    "predict.overlap": 16,
}


def draw_texture(seed=0, size=96):
    """Two halves with the same values, in blocks of four pixels and pixel by pixel."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (3, size, size))
    blocks = np.repeat(np.repeat(noise[:, ::4, ::4], 4, axis=1), 4, axis=2)
    coarse = np.arange(size) < size // 2
    return np.where(coarse, blocks, noise).astype(np.uint8)


def draw_places(count, *, seed=1, size=96):
    coords = np.random.default_rng(seed).integers(0, size, (count, 2))
    return make_places(coords.astype(float), np.where(coords[:, 1] < size // 2, 1, 2))


def make_job(tmp_path, picture=None, **values):
    scene = scene_from_array(draw_texture() if picture is None else picture)
    recipe = Recipe().with_values({**FAST, **values})
    return Job((scene,), LEGEND, measure_radiometry([scene]), recipe, tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm.create_model(ENCODER, num_classes=0).state_dict()
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file(state, path)
    return {"net.encoder": ENCODER, "net.encoder_weights": str(path)}


def share_right(learner, model, places):
    return (learner.predict(model, places).argmax(axis=1) + 1 == places.label).mean()


def test_surroundings_tell_textures_apart_that_values_cannot(tmp_path):
    train, val, test = (draw_places(n, seed=s) for n, s in ((150, 1), (50, 2), (200, 3)))
    bank = InstantLearner(make_job(tmp_path, **{"net.model": "bank"}))
    forest = InstantLearner(make_job(tmp_path, **{"net.model": "forest"}))
    assert share_right(bank, bank.fit(train, val, seed=0), test) > 0.9
    assert share_right(forest, forest.fit(train, val, seed=0), test) < 0.65


@pytest.mark.parametrize(
    ("model", "classifier"),
    [("forest", "both"), ("bank", "both"), ("instant", "trees"), ("instant", "mlp")],
)
def test_a_model_gives_the_same_probabilities_at_places_and_in_a_window(
    tmp_path, weights, model, classifier
):
    job = make_job(tmp_path, **weights, **{"net.model": model, "instant.classifier": classifier})
    learner, places = InstantLearner(job), draw_places(60)
    fitted = learner.fit(places, draw_places(30, seed=5), seed=0)
    data, valid = job.scenes[0].read()
    near = places.take((places.coords < 40).all(axis=1))  # the first window serves these best
    dense = fitted.predict(data[None, :, :64, :64], valid[None, :64, :64])[0]
    rows, cols = near.pixels().T
    np.testing.assert_allclose(learner.predict(fitted, near), dense[:, rows, cols].T, atol=0.051)
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-5)
    assert dense.shape == (3, 64, 64)
    assert dense.dtype == np.float32


@pytest.mark.parametrize(
    ("model", "classifier"), [("bank", "trees"), ("bank", "mlp"), ("instant", "mlp")]
)
def test_the_tensors_alone_give_back_the_same_model(tmp_path, weights, model, classifier):
    job = make_job(tmp_path, **weights, **{"net.model": model, "instant.classifier": classifier})
    fitted = InstantLearner(job).fit(draw_places(60), draw_places(30, seed=5), seed=0)
    gone = fitted.card.recipe.with_values({"net.encoder_weights": "/nowhere.safetensors"})
    card = fitted.card.model_copy(update={"recipe": gone})
    tensors = load(save(fitted.predictor.tensors()))
    again = InstantPredictor.from_tensors(card.model_validate_json(card.model_dump_json()), tensors)
    data, valid = (a[None] for a in job.scenes[0].read())
    np.testing.assert_array_equal(again.predict(data, valid), fitted.predict(data, valid))
    for name, array in again.tensors().items():
        np.testing.assert_array_equal(array, fitted.predictor.tensors()[name])


def test_the_seed_decides_the_model(tmp_path):
    job = make_job(tmp_path, **{"net.model": "bank"})
    places, test = draw_places(60), draw_places(50, seed=9)
    first, same, other = (
        learner.predict(learner.fit(places, None, seed=seed), test)
        for learner, seed in ((InstantLearner(job), 1), (InstantLearner(job), 1),
                              (InstantLearner(job), 2))
    )  # fmt: skip
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def test_the_card_says_what_validation_found(tmp_path):
    learner = InstantLearner(make_job(tmp_path, **{"net.model": "bank"}))
    card = learner.fit(draw_places(60), draw_places(30, seed=5), seed=0).card
    assert set(card.validation) >= {"classifier", "mean_f1", "mean_iou", "oa"}
    assert card.validation["classifier"] == "both"
    assert 0.5 < card.validation["mean_f1"] <= 1
    assert card.training["places"] == 90
    assert card.kind == "instant"
    alone = learner.fit(draw_places(60), None, seed=0).card
    assert alone.validation == {"classifier": "both"}


def test_both_are_the_mean_of_trees_and_a_perceptron_that_validation_stopped(tmp_path):
    train, val, test = draw_places(60), draw_places(30, seed=5), draw_places(50, seed=9)
    values = {"net.model": "bank", "instant.refit": False, "predict.calibrate": False}
    told = {}
    for kind in ("trees", "mlp", "both"):
        folder = tmp_path / kind
        folder.mkdir()
        learner = InstantLearner(make_job(folder, **values, **{"instant.classifier": kind}))
        told[kind] = learner.predict(learner.fit(train, val, seed=0), test)
    np.testing.assert_allclose(told["both"], (told["trees"] + told["mlp"]) / 2, atol=1e-6)


def test_what_validation_judged_may_stay_as_it_was_fitted(tmp_path):
    train, val, test = draw_places(60), draw_places(30, seed=5), draw_places(50, seed=9)
    values = {"net.model": "bank", "instant.classifier": "trees", "instant.refit": False}
    learner = InstantLearner(make_job(tmp_path, **values))
    judged, alone = learner.fit(train, val, seed=0), learner.fit(train, None, seed=0)
    assert judged.card.training["places"] == 60
    assert np.array_equal(learner.predict(judged, test), learner.predict(alone, test))
    again = InstantLearner(make_job(tmp_path, **{**values, "instant.refit": True}))
    other = again.fit(train, val, seed=0)
    assert other.card.training["places"] == 90
    assert not np.array_equal(learner.predict(alone, test), again.predict(other, test))


def test_windows_are_read_once_and_only_where_places_are(tmp_path, monkeypatch):
    learner = InstantLearner(make_job(tmp_path, **{"net.model": "bank"}))
    seen = []
    describe = type(learner._table.reader).describe
    monkeypatch.setattr(
        type(learner._table.reader), "describe", lambda *args: seen.append(1) or describe(*args)
    )
    corner = make_places(np.array([[2.0, 3.0], [5.0, 7.25]]), np.array([1, 2]))
    first = learner._table.rows(corner)
    np.testing.assert_array_equal(learner._table.rows(corner.take(np.array([1, 0])))[::-1], first)
    assert len(seen) == 1


def test_small_windows_share_half_of_themselves_whatever_more_is_asked(tmp_path):
    jobs = [
        make_job(tmp_path, **{"net.model": "bank", "predict.window": 64, "predict.overlap": n})
        for n in (32, 192)
    ]
    half, more = (InstantLearner(job)._table.rows(draw_places(40)) for job in jobs)
    np.testing.assert_array_equal(half, more)


@pytest.mark.parametrize("model", ["bank", "instant"])
def test_values_without_data_change_nothing(tmp_path, weights, model):
    job = make_job(tmp_path, **weights, **{"net.model": model})
    fitted = InstantLearner(job).fit(draw_places(60), None, seed=0)
    data = job.scenes[0].read().data[None].astype(np.float32)
    valid = np.ones((1, 96, 96), dtype=bool)
    valid[0, 30:50, 20:70] = False
    junk = np.where(valid[:, None], data, np.float32(np.nan))
    np.testing.assert_array_equal(fitted.predict(junk, valid), fitted.predict(data, valid))


def test_instant_refuses_an_encoder_without_weights(tmp_path):
    with pytest.raises(RecipeError, match="bank"):
        InstantLearner(make_job(tmp_path, **{"net.encoder_weights": "none"}))


def test_places_without_an_active_class_are_refused(tmp_path):
    learner = InstantLearner(make_job(tmp_path, **{"net.model": "forest"}))
    with pytest.raises(PointsError, match="1 of 1"):
        learner.fit(make_places(np.zeros((1, 2)), np.array([9])), None, seed=0)


def test_one_place_is_enough_to_fit(tmp_path):
    learner = InstantLearner(make_job(tmp_path, **{"net.model": "bank"}))
    one = draw_places(1)
    assert learner.predict(learner.fit(one, None, seed=0), one)[0, one.label[0] - 1] == 1


def test_of_many_places_a_part_is_learned_from_and_the_card_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(instant, "MOST_PLACES", 3_000)
    job = make_job(tmp_path, **{"net.model": "forest"})
    card = InstantLearner(job).fit(draw_places(4_000), draw_places(30, seed=5), seed=0).card
    assert card.training["places"] == sum(card.training["places_per_class"].values())
    assert 3_000 <= card.training["places"] - 30 <= 3_003
    (note,) = card.notes
    assert "of 4,000 places of training" in note
