import json
from dataclasses import replace

import numpy as np
import pytest

from landvisor.errors import RecipeError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.places import SOURCES, make_places
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn import rounds
from landvisor.learn.checkpoint import Progress
from landvisor.learn.job import Job
from landvisor.learn.model_file import load_model, save_model
from landvisor.learn.network import NetworkLearner, Support
from landvisor.learn.rounds import RoundsLearner, make_tuned
from landvisor.learn.train import make_learner
from landvisor.recipe import Recipe

LEGEND = legend_from_ids((3, 7))


pytestmark = pytest.mark.usefixtures("one_thread")


def make_job(folder, **values):
    generator = np.random.default_rng(0)
    image = np.full((3, 64, 64), 60.0)
    image[:, :, 32:] = 180
    data = (image + generator.normal(0, 20, image.shape)).clip(0, 255).astype(np.uint8)
    scene = scene_from_array(data, bands=("red", "green", "blue"))
    base = {
        "net.model": "fpn", "net.encoder": "mobilenetv2_050", "net.encoder_weights": "none",
        "teacher.source": "instant", "instant.trees": 5, "instant.sigmas": [1.0],
        "instant.classifier": "trees", "instant.scales": [1], "labels.max_grown": 30,
        "fit.epochs": 1, "fit.steps": 1, "fit.batch_size": 2, "fit.chip": 64,
        "fit.precision": "fp32", "predict.window": 64, "predict.overlap": 16,
    }  # fmt: skip
    paths = {key.replace("__", "."): value for key, value in values.items()}
    recipe = Recipe().with_values({**base, **paths})
    return Job((scene,), LEGEND, measure_radiometry((scene,)), recipe, folder)


def draw_places(count, seed):
    coords = np.random.default_rng(seed).uniform(0, 63, (count, 2))
    return make_places(coords, np.where(coords[:, 1] < 31.5, 3, 7))


def same_weights(first, second):
    a, b = first.predictor.tensors(), second.predictor.tensors()
    return all(np.array_equal(a[key], b[key]) for key in a)


def script_levels(monkeypatch, levels):
    """Train once alone, and let validation say what it is told to of that and of all others."""
    said, first = iter(levels), []
    choose = NetworkLearner.choose

    def chosen(self, *args, support=None, **options):
        first.extend([] if first else [choose(self, *args, **options)])
        progress = Progress(**{**vars(first[0].progress), "peak": next(said)})
        return replace(first[0], progress=progress, support=support or Support())

    monkeypatch.setattr(NetworkLearner, "choose", chosen)


def test_one_round_is_the_network_as_it_ever_was(tmp_path):
    job = make_job(tmp_path)
    train, val = draw_places(30, 0), draw_places(9, 1)
    model = make_learner(job).fit(train, val, seed=0)
    assert same_weights(model, NetworkLearner(job).fit(train, val, seed=0))
    assert "rounds" not in model.card.training


def test_trees_of_the_next_round_read_the_encoder_as_the_last_one_left_it(tmp_path):
    job = make_job(tmp_path, teacher__rounds=2)
    train = draw_places(30, 0)
    learner = RoundsLearner(job)
    second = learner.choose(train, None, seed=0)
    first = NetworkLearner(make_job(tmp_path, teacher__rounds=2)).choose(train, None, seed=0)
    own = first.model.predictor.network.encoder.model.state_dict()
    read = second.support.instant._table.reader.encoder.tensors()
    assert own.keys() == read.keys()
    assert all(np.array_equal(tensor, read[name]) for name, tensor in own.items())
    assert not same_weights(first.model, second.model)
    assert [(r["name"], r["kept"]) for r in second.model.card.training["rounds"]] == [
        ("round 1", True),
        ("round 2", True),
    ]
    json.dumps(second.model.card.model_dump(mode="json"), allow_nan=False)


def test_rounds_that_are_done_are_read_and_not_trained_again(tmp_path):
    train, val = draw_places(30, 0), draw_places(9, 1)
    values = {"teacher__rounds": 2, "teacher__self_training": True}
    model = RoundsLearner(make_job(tmp_path, **values)).fit(train, val, seed=0)
    before = (tmp_path / "metrics.jsonl").read_text()
    again = RoundsLearner(make_job(tmp_path, **values)).fit(train, val, seed=0)
    assert same_weights(model, again)
    assert (tmp_path / "metrics.jsonl").read_text() == before
    runs = {json.loads(line)["fit"] for line in before.splitlines()}
    assert len(runs) == len(model.card.training["rounds"])


@pytest.mark.parametrize(
    ("levels", "kept"),
    [
        ([0.5, 0.6, 0.7, 0.8], [True, True, True, True]),
        ([0.5, 0.4, 0.6], [True, False, True]),
        ([0.5, 0.6, 0.6, 0.6], [True, True, False, False]),
    ],
)
def test_a_round_is_kept_only_where_validation_gains(tmp_path, monkeypatch, levels, kept):
    script_levels(monkeypatch, levels)
    job = make_job(tmp_path, teacher__rounds=3, teacher__self_training=True)
    choice = RoundsLearner(job).choose(draw_places(30, 0), draw_places(9, 1), seed=0)
    records = choice.model.card.training["rounds"]
    assert [record["kept"] for record in records] == kept
    assert [record["mean_iou"] for record in records] == levels
    assert records[-1]["name"] == "self-training"
    assert choice.progress.peak == max(levels)


def test_a_refit_is_taught_as_the_kept_round_was(tmp_path, monkeypatch):
    script_levels(monkeypatch, [0.5, 0.6, 0.7])
    values = {"teacher__rounds": 2, "teacher__self_training": True, "fit__refit": True}
    learner = RoundsLearner(make_job(tmp_path, **values))
    train, val = draw_places(30, 0), draw_places(9, 1)
    choice = learner.choose(train, val, seed=0)
    model = learner.refit(choice, train, val, seed=0)
    assert len(choice.support.pseudo) > 0
    counts = model.card.training["places_per_source"]
    assert counts["human"] == 39
    assert counts["pseudo"] == len(choice.support.pseudo)
    assert len(model.card.training["rounds"]) == 3
    assert model.card.training["refitted"] is True


def test_self_training_learns_from_sure_pixels_and_people_alike(tmp_path):
    job = make_job(tmp_path, teacher__self_training=True, teacher__source="none")
    train = draw_places(20, 0)
    choice = RoundsLearner(job).choose(train, None, seed=0)
    pseudo = choice.support.pseudo
    assert set(pseudo.source) == {SOURCES["pseudo"]}
    assert 0 < len(pseudo) <= 60
    assert choice.model.card.training["places"] == 20 + len(pseudo)
    assert choice.model.card.training["rounds"][1]["pseudo_labels"] == len(pseudo)


def test_trees_on_a_tuned_encoder_are_one_file(tmp_path):
    job = make_job(tmp_path)
    train = draw_places(30, 0)
    network = NetworkLearner(job).choose(train, None, seed=0).model
    model = make_tuned(job, network).fit(train, None, seed=0)
    save_model(model, tmp_path / "tuned.safetensors")
    again = load_model(tmp_path / "tuned.safetensors")
    data, valid = (part[None] for part in job.scenes[0].read())
    assert np.array_equal(again.predict(data, valid), model.predict(data, valid))
    assert any("fine-tuned" in note for note in again.card.notes)


@pytest.mark.parametrize("tuned", [False, True])
def test_the_partner_is_the_instant_model_that_validation_prefers(tmp_path, monkeypatch, tuned):
    script_levels(monkeypatch, [0.5, 0.6])
    job = make_job(tmp_path, teacher__rounds=2, net__partner="instant", instant__refit=False)
    learner = make_learner(job)
    shift = {"frozen": 0.0 if tuned else 1.0}
    try_one = type(learner)._try

    def tried(self, choice, partner, *args, **options):
        offer = try_one(self, choice, partner, *args, **options)
        value = shift["frozen"] if partner is self._network.instant else 0.5
        return offer._replace(scores={**offer.scores, "mean_iou": value})

    monkeypatch.setattr(type(learner), "_try", tried)
    train, val = draw_places(30, 0), draw_places(9, 1)
    model = learner.fit(train, val, seed=0)
    partner = model.predictor.members[1]
    assert partner.card.recipe.net.model == ("instant" if tuned else "bank")
    whole = make_places(val.pixels().astype(float), val.label)
    row, col = whole.pixels().T
    data, valid = (part[None] for part in job.scenes[0].read())
    expected = model.predict(data, valid)[0][:, row, col].T
    assert np.allclose(learner.predict(model, whole), expected, atol=1e-4)


def test_runs_with_other_guides_have_other_checkpoints(tmp_path, monkeypatch):
    job = make_job(tmp_path)
    train = draw_places(30, 0)
    NetworkLearner(job).choose(train, None, seed=0)
    told = rounds.NetworkLearner._lesson

    def changed(self, *args, **options):
        lesson = told(self, *args, **options)
        guide = {r: np.asarray(v[::-1]) for r, v in lesson.guide.items()}
        return replace(lesson, guide=guide)

    monkeypatch.setattr(NetworkLearner, "_lesson", changed)
    NetworkLearner(job).choose(train, None, seed=0)
    assert len(list(tmp_path.glob("fit-*.pt"))) == 2


def test_rounds_without_an_encoder_are_refused(tmp_path):
    values = {"teacher__rounds": 2, "net__model": "plain_unet", "net__widths": [8, 16, 32]}
    with pytest.raises(RecipeError, match="no encoder that trees could read"):
        make_learner(make_job(tmp_path, **values))


@pytest.mark.parametrize("values", [{"teacher.source": "average"}, {"teacher.weight": 0.0}])
def test_rounds_without_an_instant_teacher_are_refused(values):
    with pytest.raises(RecipeError, match="only an instant model teaches in rounds"):
        Recipe().with_values({"teacher.source": "instant", **values, "teacher.rounds": 2})
