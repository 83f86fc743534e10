import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from landvisor.architectures import NETWORKS
from landvisor.errors import ModelError, PointsError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import concatenate, make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn import checkpoint, network
from landvisor.learn.checkpoint import Journal, Progress
from landvisor.learn.engines import TorchEngine
from landvisor.learn.job import Job
from landvisor.learn.network import NetworkLearner, NetworkPredictor, score
from landvisor.recipe import Recipe

IDS = (3, 4, 9)
LEGEND = legend_from_ids(IDS)
COLOURS = np.array([[40, 60, 50], [120, 90, 60], [200, 180, 170]])


pytestmark = pytest.mark.usefixtures("one_thread")


def make_world(count=3, size=64, bands=3):
    """Scenes of three plain classes with noise, and the class ids of their pixels."""
    generator = np.random.default_rng(0)
    truth = np.zeros((count, size, size), dtype=np.int64)
    for plane in truth:
        plane[:, generator.integers(size // 3, size // 2) :] = 1
        plane[generator.integers(size // 2, size * 2 // 3) :] = 2
    noise = generator.normal(0, 12, (count, size, size, 3))
    images = (COLOURS[truth] + noise).clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)
    images = np.concatenate([images] * 3, axis=1)[:, :bands]
    names = ("red", "green", "blue", "nir", "swir")[:bands]
    scenes = tuple(scene_from_array(image, bands=names) for image in images)
    return scenes, np.asarray(IDS)[truth]


def draw_places(truth, count, seed=1):
    generator = np.random.default_rng(seed)
    scene = generator.integers(0, len(truth), count)
    coords = generator.uniform(0, truth.shape[1] - 1, (count, 2))
    rows, cols = np.floor(coords + 0.5).astype(int).T
    return make_places(coords, truth[scene, rows, cols], scene=scene)


def make_job(folder, scenes, *, model="unet", **fit):
    base = {"chip": 64, "epochs": 2, "steps": 2, "batch_size": 2, "lr": 3e-3, "precision": "fp32"}
    values = {f"fit.{key}": value for key, value in {**base, **fit}.items()}
    net = {"model": model, "encoder": "mobilenetv2_050", "encoder_weights": "none"}
    values |= {f"net.{key}": value for key, value in net.items()}
    values |= {"predict.window": 64, "predict.overlap": 16}
    recipe = Recipe().with_values(values)
    return Job(scenes, LEGEND, measure_radiometry(scenes), recipe, folder)


def same_weights(first, second):
    a, b = first.predictor.tensors(), second.predictor.tensors()
    return all(np.array_equal(a[key], b[key]) for key in a)


def read_metrics(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_network_learns_a_plain_world_from_points(tmp_path):
    scenes, truth = make_world()
    places = draw_places(truth, 150)
    learner = NetworkLearner(make_job(tmp_path, scenes, epochs=10, steps=4, batch_size=4))
    model = learner.fit(places, None, seed=0)
    windows = [scene.read() for scene in scenes]
    found = model.predict(np.stack([w.data for w in windows]), np.stack([w.valid for w in windows]))
    assert found.shape == (3, 3, 64, 64)
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4)
    assert (np.asarray(IDS)[found.argmax(axis=1)] == truth).mean() > 0.9
    at_places = np.asarray(IDS)[learner.predict(model, places).argmax(axis=1)]
    assert (at_places == places.label).mean() > 0.9


def test_a_place_at_a_pixel_gets_what_the_map_says_there(tmp_path):
    scenes, truth = make_world(size=50)
    learner = NetworkLearner(make_job(tmp_path, scenes))
    places = draw_places(truth, 60)
    model = learner.fit(places, None, seed=0)
    whole = make_places(places.pixels().astype(float), places.label, scene=places.scene)
    expected = [
        model.predict(scenes[s].read().data[None], scenes[s].read().valid[None])[0, :, r, c]
        for s, (r, c) in zip(whole.scene, whole.pixels(), strict=True)
    ]
    assert np.allclose(learner.predict(model, whole), expected, atol=1e-4)


def test_small_windows_share_half_of_themselves_whatever_more_is_asked(tmp_path):
    scenes, truth = make_world()
    places = draw_places(truth, 60)
    job = make_job(tmp_path, scenes, epochs=1, steps=1)
    recipes = [job.recipe.with_values({"predict.overlap": n}) for n in (32, 192)]
    half, more = (NetworkLearner(replace(job, recipe=recipe)) for recipe in recipes)
    model = more.fit(places, places, seed=0)
    assert np.array_equal(more.predict(model, places), half.predict(model, places))


def test_the_card_says_what_the_model_needs_and_was_trained_on(tmp_path):
    scenes, truth = make_world()
    job = make_job(tmp_path, scenes)
    model = NetworkLearner(job).fit(draw_places(truth, 40), draw_places(truth, 9, seed=5), seed=0)
    card = model.card
    assert card.kind == "network"
    assert card.bands == ("red", "green", "blue")
    assert card.input_mean == pytest.approx([0.485 * 255, 0.456 * 255, 0.406 * 255])
    assert card.training["places"] == 40
    assert card.training["epochs"] == 2
    assert {len(values) for values in card.training["history"].values()} == {2}
    assert set(card.training["history"]) == {"loss", "mean_iou", "mean_f1", "oa"}
    assert card.validation["n"] == 9
    assert set(card.validation) == {"n", "epoch", "mean_iou", "mean_f1", "oa"}
    json.dumps(card.model_dump(mode="json"), allow_nan=False)


@pytest.mark.parametrize("model", NETWORKS)
def test_every_architecture_trains_and_comes_back_from_its_tensors(tmp_path, model):
    scenes, truth = make_world(count=2, bands=4)
    job = make_job(tmp_path, scenes, model=model, epochs=1)
    trained = NetworkLearner(job).fit(draw_places(truth, 30), None, seed=0)
    again = NetworkPredictor.from_tensors(trained.card, trained.predictor.tensors())
    data, valid = (part[None] for part in scenes[0].read())
    assert np.array_equal(again.predict(data, valid), trained.predict(data, valid))


def test_tensors_of_another_network_are_refused(tmp_path):
    scenes, truth = make_world(count=1)
    model = NetworkLearner(make_job(tmp_path, scenes, epochs=1)).fit(
        draw_places(truth, 20), None, seed=0
    )
    tensors = model.predictor.tensors()
    lacking = {k: t for k, t in tensors.items() if not k.startswith("head")}
    with pytest.raises(ModelError, match="do not fit"):
        NetworkPredictor.from_tensors(model.card, lacking)
    tensors["head.weight"] = tensors["head.weight"][:1]
    with pytest.raises(ModelError, match="shapes"):
        NetworkPredictor.from_tensors(model.card, tensors)


def test_invalid_pixels_may_hold_anything(tmp_path):
    scenes, truth = make_world(count=1)
    model = NetworkLearner(make_job(tmp_path, scenes, epochs=1)).fit(
        draw_places(truth, 20), None, seed=0
    )
    data, valid = (part[None].copy() for part in scenes[0].read())
    valid[:, 20:40] = False
    other = data.copy()
    other[:, :, 20:40] = 255
    assert np.array_equal(model.predict(data, valid), model.predict(other, valid))


def test_bf16_agrees_with_fp32(tmp_path):
    scenes, truth = make_world()
    places = draw_places(truth, 100)
    options = {"epochs": 6, "steps": 4, "batch_size": 4}
    job = make_job(tmp_path, scenes, **options)
    model = NetworkLearner(job).fit(places, None, seed=0)
    predictor = model.predictor
    engine = TorchEngine(predictor.network, bf16=True)
    half = NetworkPredictor(predictor.network, predictor.scaling, engine)
    data, valid = (part[None] for part in scenes[0].read())
    difference = np.abs(half.predict(data, valid) - model.predict(data, valid))
    assert difference.mean() < 0.02
    job = make_job(tmp_path, scenes, **options, precision="bf16")
    learner = NetworkLearner(job)
    found = learner.predict(learner.fit(places, None, seed=0), places)
    assert score(found, places.label, ids=IDS)["oa"] > 0.8


def test_equal_seeds_give_equal_weights_and_others_do_not(tmp_path):
    scenes, truth = make_world(count=2)
    places = draw_places(truth, 40)
    models = [
        NetworkLearner(make_job(tmp_path / name, scenes, model="fpn")).fit(places, None, seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_a_finished_run_is_read_back_and_another_starts_anew(tmp_path, caplog, monkeypatch):
    scenes, truth = make_world(count=2)
    places = draw_places(truth, 40)
    learner = NetworkLearner(make_job(tmp_path, scenes))
    first = learner.fit(places, None, seed=0)
    with caplog.at_level("INFO", logger="landvisor"):
        assert same_weights(first, learner.fit(places, None, seed=0))
        assert "goes on after epoch 2" in caplog.text
        learner.fit(places.take(np.arange(39)), None, seed=0)
        assert "starts anew" not in caplog.text  # the other run is of this process
        monkeypatch.setattr(checkpoint, "_STARTED", math.inf)
        learner.fit(places.take(np.arange(38)), None, seed=0)
        assert "starts anew; 2 checkpoints here are of other runs" in caplog.text
    assert [line["epoch"] for line in read_metrics(tmp_path)] == [1, 2] * 3


def test_the_epoch_that_ends_the_best_five_is_kept_and_waiting_ends(tmp_path):
    scenes, truth = make_world(count=2)
    places, val = draw_places(truth, 40), draw_places(truth, 30, seed=7)
    job = make_job(tmp_path, scenes, epochs=8, steps=1, patience=2)
    learner = NetworkLearner(job)
    model = learner.fit(places, val, seed=0)
    metrics = read_metrics(tmp_path)
    scores = [line["mean_iou"] for line in metrics]
    levels = [np.mean(scores[max(0, end - 5) : end]) for end in range(1, len(scores) + 1)]
    best = int(np.argmax(levels))
    assert model.card.validation["epoch"] == best + 1
    assert len(metrics) == min(8, best + 3)
    again = score(learner.predict(model, val), val.label, ids=IDS)
    assert again["mean_iou"] == pytest.approx(scores[best])


def test_a_refit_learns_from_all_places_as_long_as_validation_chose(tmp_path):
    scenes, truth = make_world(count=2)
    places, val = draw_places(truth, 40), draw_places(truth, 30, seed=7)
    options = {"epochs": 4, "steps": 1, "schedule": "none"}
    chosen = NetworkLearner(make_job(tmp_path / "a", scenes, **options)).fit(places, val, seed=0)
    epoch = chosen.card.validation["epoch"]
    job = make_job(tmp_path / "a", scenes, **options, refit=True)
    refitted = NetworkLearner(job).fit(places, val, seed=0)
    job = make_job(tmp_path / "b", scenes, **{**options, "epochs": epoch})
    together = NetworkLearner(job).fit(concatenate([places, val]), None, seed=0)
    assert same_weights(refitted, together)
    assert not same_weights(refitted, chosen)
    assert refitted.card.validation == chosen.card.validation
    assert refitted.card.training["history"] == chosen.card.training["history"]
    assert (refitted.card.training["places"], refitted.card.training["epochs"]) == (70, epoch)
    assert refitted.card.training["refitted"]
    assert f"anew on all places for {epoch} epochs" in refitted.card.notes[-1]


def test_a_refit_without_validation_is_the_fit(tmp_path):
    scenes, truth = make_world(count=1)
    models = [
        NetworkLearner(make_job(tmp_path / str(refit), scenes, epochs=1, refit=refit)).fit(
            draw_places(truth, 20), None, seed=0
        )
        for refit in (True, False)
    ]
    assert same_weights(*models)


def test_empty_validation_keeps_the_last_epoch(tmp_path):
    scenes, truth = make_world(count=1)
    places = draw_places(truth, 20)
    model = NetworkLearner(make_job(tmp_path, scenes)).fit(
        places, places.take(np.zeros(20, dtype=bool)), seed=0
    )
    assert model.card.validation == {"epoch": 2}


def test_places_without_an_active_class_are_refused(tmp_path):
    scenes, _ = make_world(count=1)
    places = make_places(np.zeros((2, 2)), np.array([77, 78]))
    with pytest.raises(PointsError, match="active class"):
        NetworkLearner(make_job(tmp_path, scenes)).fit(places, None, seed=0)


def test_training_leaves_global_settings_alone(tmp_path):
    scenes, truth = make_world(count=1)
    state = torch.get_rng_state()
    NetworkLearner(make_job(tmp_path, scenes, epochs=1)).fit(draw_places(truth, 20), None, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_an_interrupt_reaches_the_caller_and_the_run_goes_on_later(tmp_path, monkeypatch):
    scenes, truth = make_world(count=1)
    places, val = draw_places(truth, 20), draw_places(truth, 9)
    whole = NetworkLearner(make_job(tmp_path / "whole", scenes)).fit(places, val, seed=0)
    answers = iter([network.score, None])

    def interrupt(*args, **options):
        answer = next(answers)
        if answer is None:
            raise KeyboardInterrupt
        return answer(*args, **options)

    learner = NetworkLearner(make_job(tmp_path / "parts", scenes))
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(network, "score", interrupt)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(places, val, seed=0)
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(read_metrics(tmp_path / "parts")) == 1
    assert same_weights(learner.fit(places, val, seed=0), whole)


def test_a_terminated_run_reports_no_success_and_goes_on_later(tmp_path, monkeypatch):
    scenes, truth = make_world(count=1)
    places, val = draw_places(truth, 20), draw_places(truth, 9)
    whole = NetworkLearner(make_job(tmp_path / "whole", scenes)).fit(places, val, seed=0)

    def terminate(*args, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        return score(*args, **options)

    learner = NetworkLearner(make_job(tmp_path / "parts", scenes))
    with monkeypatch.context() as patch:
        patch.setattr(network, "score", terminate)
        with pytest.raises(SystemExit) as stopped:
            learner.fit(places, val, seed=0)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert same_weights(learner.fit(places, val, seed=0), whole)


def test_a_damaged_checkpoint_is_not_read(tmp_path, caplog):
    journal = Journal(tmp_path, "abc")
    journal.save(Progress(epochs=3))
    assert journal.restore().epochs == 3
    journal.path.write_bytes(journal.path.read_bytes()[:-200])
    with caplog.at_level("WARNING", logger="landvisor"):
        assert journal.restore() == Progress()
    assert "damaged" in caplog.text


def test_a_checkpoint_holds_tensors_and_built_ins_only(tmp_path):
    scenes, truth = make_world(count=1)
    NetworkLearner(make_job(tmp_path, scenes)).fit(draw_places(truth, 20), None, seed=0)
    (path,) = tmp_path.glob("fit-*.pt")
    assert torch.load(path, weights_only=True)["epochs"] == 2


TEACHER = {"teacher.source": "both", "teacher.threshold": 0.4, "teacher.ramp": 0.5}


def make_taught(folder, scenes, *, more=(), **fit):
    job = make_job(folder, scenes, **fit)
    recipe = job.recipe.with_values({**TEACHER, "instant.trees": 5, **dict(more)})
    return NetworkLearner(type(job)(**{**vars(job), "recipe": recipe}))


def test_a_taught_run_that_was_interrupted_goes_on_exactly(tmp_path, monkeypatch):
    scenes, truth = make_world(count=2)
    places, val = draw_places(truth, 40), draw_places(truth, 20, seed=3)
    whole = make_taught(tmp_path / "whole", scenes, epochs=3).fit(places, val, seed=0)
    score, answers = network.score, iter([True, False])

    def interrupt(*args, **options):
        if not next(answers):
            raise KeyboardInterrupt
        return score(*args, **options)

    learner = make_taught(tmp_path / "parts", scenes, epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(network, "score", interrupt)
        with pytest.raises(KeyboardInterrupt):
            learner.fit(places, val, seed=0)
    assert len(read_metrics(tmp_path / "parts")) == 1
    again = make_taught(tmp_path / "parts", scenes, epochs=3).fit(places, val, seed=0)
    assert same_weights(again, whole)
    told = read_metrics(tmp_path / "parts")[-1]
    assert told["loss_teacher"] > 0
    assert {**told, "seconds": 0} == {**read_metrics(tmp_path / "whole")[-1], "seconds": 0}
    assert 0 < told["believed"] <= 1
    checked = [name for name in LEGEND.names if told[f"checked.{name}"]]
    assert {name for name in LEGEND.names if f"agreed.{name}" in told} == set(checked) != set()
    assert all(0 < told[f"threshold.{name}"] < 0.41 for name in LEGEND.names)
    assert any(f"accepted.{name}" in told for name in LEGEND.names)
    json.dumps(again.card.model_dump(mode="json"), allow_nan=False)


def test_teachers_change_the_run_and_a_weight_of_nothing_does_not(tmp_path):
    scenes, truth = make_world(count=2)
    places = draw_places(truth, 40)
    plain = NetworkLearner(make_job(tmp_path / "plain", scenes)).fit(places, None, seed=0)
    taught = make_taught(tmp_path / "taught", scenes).fit(places, None, seed=0)
    none = make_taught(tmp_path / "none", scenes, more={"teacher.weight": 0}.items())
    assert not same_weights(plain, taught)
    assert same_weights(plain, none.fit(places, None, seed=0))


def test_the_kept_weights_are_the_averaged_ones(tmp_path):
    scenes, truth = make_world(count=2)
    places = draw_places(truth, 40)
    models = [
        NetworkLearner(make_job(tmp_path / str(decay), scenes, average=decay)).fit(
            places, None, seed=0
        )
        for decay in (0.0, 0.99)
    ]
    assert not same_weights(*models)


CHILD = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("test_fit", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.run_child(pathlib.Path(sys.argv[2]))
"""
LONG = {"model": "deeplabv3plus", "epochs": 5, "steps": 3}


def run_child(folder):
    torch.set_num_threads(1)
    scenes, truth = make_world(count=2)
    learner = NetworkLearner(make_job(folder, scenes, **LONG))
    return learner.fit(draw_places(truth, 40), draw_places(truth, 20, seed=3), seed=4)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    straight = run_child(tmp_path / "straight")
    folder = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, __file__, str(folder)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and child.poll() is None:
        done = folder / "metrics.jsonl"
        if done.exists() and done.read_text().count("\n") >= 2:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert 2 <= len(read_metrics(folder)) < LONG["epochs"]
    resumed = run_child(folder)
    assert same_weights(straight, resumed)
    assert straight.card.training["history"] == resumed.card.training["history"]
    kept = [
        [{**line, "seconds": 0} for line in read_metrics(tmp_path / name)]
        for name in ("straight", "killed")
    ]
    assert kept[0] == kept[1]
