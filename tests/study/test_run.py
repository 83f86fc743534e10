"""Runs are done once, whatever happens: kills, other runners, failures."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from landvisor.errors import StudyError
from landvisor.study import run as module
from landvisor.study.analysis import analyse
from landvisor.study.run import How, run_study
from landvisor.study.store import FILE, Store
from landvisor.study.tell import list_runs, say_runs

KILLS = int(os.environ.get("LANDVISOR_KILLS", "4"))


def quiet(**changes):
    return How(tell=lambda _: None, **changes)


def content_of(folder):
    store = Store.open(folder)
    found = store.content()
    store.close()
    return found


def files_of(folder):
    runs = folder / "runs"
    return {p.relative_to(runs).as_posix(): p.read_bytes() for p in runs.rglob("*") if p.is_file()}


def test_a_study_leaves_metrics_counts_and_pictures_of_every_run(finished):
    store = Store.open(finished)
    for member in store.members("tiny"):
        metrics = store.metrics(member.run)
        assert 0.2 < metrics["test", "standard", "mean_iou"] < 1
        assert metrics["test", "standard", "iou.rock"] is not None
        counts = store.counts(member.run, "test", "masks")
        assert sorted(counts) == [f"im{k:02d}" for k in range(9, 15)]
        assert all(table.shape == (4, 5) for table in counts.values())
        assert sum(table.sum() for table in counts.values()) == 6 * 24 * 36
        assert store.versions(member.run)["threads"] == "1"
        labels = store.run(member.run)["facts"]["labels"]
        each = int(member.levels["points.n"])
        assert labels["per_class"] == {"soil": 6 * each, "rock": 6 * each, "sand": 6 * each}
        assert (labels["train"], labels["val"]) == (18 * each, 9 * each)
        names = {path.name for path in (finished / "runs" / member.run).iterdir()}
        shown = store.study("tiny")["facts"]["examples"]
        assert names == {
            f"{name}.{kind}.png" for name in shown for kind in ("image", "mask", "map")
        }
        assert len(shown) == 1
    assert not list((finished / "fits").iterdir())
    assert store.study("tiny")["facts"]["splits"]["test"]["images"] == 6


def test_a_run_scores_what_the_verbs_one_by_one_would(finished, collection, tmp_path):
    """Points drawn, a model fitted, maps written and assessed by the public functions."""
    from landvisor import workflow
    from landvisor.geo.collection import open_collection
    from landvisor.labels.sampling import sample_collection, write_sample
    from landvisor.options import Options
    from landvisor.recipe import parse_recipe

    store = Store.open(finished)
    member = next(m for m in store.members("tiny") if m.seed == 1 and m.levels["points.n"] == "12"
                  and m.levels["net.model"] == "forest")  # fmt: skip
    whole = open_collection(collection)
    sample = sample_collection(whole.select("train,val"), strategy="per_class", n=12, seed=1)
    write_sample(sample, tmp_path / "points.gpkg")
    recipe = parse_recipe(store.run(member.run)["choices"]["recipe"])
    model = workflow.fit(whole, tmp_path / "points.gpkg", recipe=recipe,
                         options=Options(split="train", val_split="val"))  # fmt: skip
    workflow.predict(model, whole, out=tmp_path / "maps", options=Options(split="test"))
    found = workflow.assess(tmp_path / "maps", whole, options=Options(split="test"))
    rates = found.confusion.metrics()
    metrics = store.metrics(member.run)
    # a map file has 0 for both no data and sky, so sky is compared by what is left
    assert metrics["test", "standard", "oa"] == pytest.approx(rates["oa"], abs=1e-12)
    assert metrics["test", "standard", "mean_iou"] == pytest.approx(rates["mean_iou"], abs=1e-12)


def test_a_finished_study_is_not_run_again(finished, whole_study):
    before = content_of(finished)
    said = []
    assert run_study(whole_study, out=finished, how=How(tell=said.append)) == {"done": 8}
    assert said == []
    assert content_of(finished) == before


def test_a_forgotten_run_comes_back_exactly(finished, whole_study):
    before, pictures = content_of(finished), files_of(finished)
    run = Store.open(finished).members("tiny")[2].run
    said = []
    run_study(whole_study, out=finished, how=How(again=(run,), tell=said.append))
    assert len(said) == 1
    assert content_of(finished) == before
    assert files_of(finished) == pictures


def test_rows_deleted_by_hand_come_back_exactly(finished, whole_study):
    before = content_of(finished)
    run = Store.open(finished).members("tiny")[5].run
    database = sqlite3.connect(finished / FILE)
    for table in ("runs", "members", "metrics", "counts", "curves", "versions"):
        database.execute(f"DELETE FROM {table} WHERE run=?", (run,))
    database.commit()
    database.close()
    run_study(whole_study, out=finished, how=quiet())
    assert content_of(finished) == before


# A child is forked after all is imported, so that its time is that of the study alone.
_SCRIPT = """
import os, random, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import CONTENT
from landvisor.study.read import parse_study
from landvisor.study.run import How, run_study

folder, out, kills = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
study = parse_study(CONTENT, folder=folder)

def begin():
    number = os.fork()
    if number == 0:
        code = 1
        try:
            run_study(study, out=out, how=How(tell=lambda line: None))
            code = 0
        finally:
            os._exit(code)
    return number

for _ in range(2):  # the first one compiles
    started = time.monotonic()
    run_study(study, out=out + " warm", how=How(tell=lambda line: None, limit=1))
unit = time.monotonic() - started
draw, killed = random.Random(5), 0
for _ in range(kills):
    number = begin()
    time.sleep(draw.uniform(0.5, 4) * unit)
    os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    killed += os.WIFSIGNALED(status)
runners = [begin() for _ in range(int(sys.argv[5]))]
for number in runners:
    _, status = os.waitpid(number, 0)
    assert status == 0, status
print("killed", killed)
"""


def script(collection, out, *, kills, runners):
    here = Path(__file__).parent
    words = [here, collection, out, kills, runners]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *map(str, words)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows cannot fork")
def test_kills_at_random_moments_and_runners_side_by_side_change_nothing(
    finished, collection, tmp_path
):
    said = script(collection, tmp_path / "out", kills=KILLS, runners=2)
    assert int(said.split()[-1]) >= min(KILLS, 2)
    assert content_of(tmp_path / "out") == content_of(finished)
    assert files_of(tmp_path / "out") == files_of(finished)
    left = [p.name for p in tmp_path.rglob("*") if p.name.endswith((".lock", ".work"))]
    assert left == []


def test_no_run_is_done_twice_by_two_runners(whole_study, tmp_path, monkeypatch):
    done, lock = [], threading.Lock()
    execute = module.execute

    def count(job):
        with lock:
            done.append(job.run)
        return execute(job)

    monkeypatch.setattr(module, "execute", count)
    threads = [
        threading.Thread(target=run_study, args=(whole_study,), kwargs={"out": tmp_path,
                         "how": quiet(only=("net.model=forest",))}) for _ in range(2)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert len(set(done)) == 4


def test_a_run_that_fails_is_written_down_and_stops_no_other(make_study, content, tmp_path,
                                                            monkeypatch):  # fmt: skip
    execute = module.execute

    def stumble(job):
        if job.choices.points.n == 12 and job.choices.recipe.seed == 0:
            raise MemoryError("no room for\ntwelve points")
        return execute(job)

    study = make_study(content, factors={"points.n": [2, 12]})
    monkeypatch.setattr(module, "execute", stumble)
    assert run_study(study, out=tmp_path, how=quiet()) == {"done": 3, "failed": 1}
    store = Store.open(tmp_path)
    failed = next(m for m in store.members("tiny") if m.state == "failed")
    assert failed.error == "MemoryError: no room for twelve points"
    assert "stumble" in store.run(failed.run)["trace"]
    assert f"{failed.run} failed: MemoryError" in say_runs(list_runs(store, "tiny", ""))

    with pytest.raises(StudyError, match=r"unbalanced: 1 of 4 runs .* seed 0, failed \(MemoryErr"):
        analyse(store, "tiny")
    part = analyse(store, "tiny", partial=True)
    assert part.arms[0].seeds == (1,)
    assert part.verdicts[0].verdict == "undecided"
    assert any("of 2 seeds 1 are complete" in note for note in part.notes)

    monkeypatch.setattr(module, "execute", execute)
    assert run_study(study, out=tmp_path, how=quiet())["failed"] == 1
    assert run_study(study, out=tmp_path, how=quiet(retry_failed=True)) == {"done": 4}
    assert len(analyse(store, "tiny").verdicts) == 1


def test_only_and_limit_choose_runs(whole_study, tmp_path):
    states = run_study(whole_study, out=tmp_path, how=quiet(only=("points.n=2", "seed=1"), limit=1))
    assert states == {"done": 1, "missing": 7}
    run_study(whole_study, out=tmp_path, how=quiet(only=("points.n=12, net.model=bank",), limit=1))
    done = [m for m in Store.open(tmp_path).members("tiny") if m.state == "done"]
    assert {(m.seed, m.arm) for m in done} == {
        (1, "points.n=2, net.model=forest"), (0, "points.n=12, net.model=bank"),
    }  # fmt: skip
    for word, said in (
        ("points.n=3", "nearest valid one is '2'"), ("point.n=2", "nearest .* 'points.n'"),
        ("seed=7", "no run is seed=7"), ("nobody", "unknown arm 'nobody'"),
    ):  # fmt: skip
        with pytest.raises(StudyError, match=said):
            run_study(whole_study, out=tmp_path, how=quiet(only=(word,)))
    with pytest.raises(StudyError, match="unknown run 'beef'"):
        run_study(whole_study, out=tmp_path, how=quiet(again=("beef",)))


def test_runs_that_differ_in_prediction_share_a_model(make_study, content, tmp_path, monkeypatch):
    from landvisor.study import execute as steps

    fits = []
    fit = steps._fit

    def count(job):
        fits.append(job.fit)
        return fit(job)

    monkeypatch.setattr(steps, "_fit", count)
    factors = {"predict.tta": ["none", "d4"], "data.test_gain": [1.0, 2.0]}
    content["hypothesis"][0]["contrast"] = {
        "this": {"data.test_gain": 2.0}, "than": {"data.test_gain": 1.0},
    }  # fmt: skip
    content["hypothesis"][0]["direction"] = "less"
    study = make_study(content, factors=factors)
    run_study(study, out=tmp_path, how=quiet())
    assert len(fits) == len(set(fits)) == 2
    found = analyse(Store.open(tmp_path), "tiny")
    light = found.verdicts[0].effect
    assert light.estimate < -0.2  # a test twice as bright as what was learned
    values = {(a.arm, a.measure.split): a.values for a in found.arms if a.measure.metric == "oa"}
    dark, bright = ("predict.tta=none, data.test_gain=1", "predict.tta=none, data.test_gain=2")
    assert values[dark, "val"] == values[bright, "val"]  # val keeps its light


def test_a_network_leaves_curves_and_its_loss(make_study, content, tmp_path):
    content |= {
        "replicates": [3, 4],
        "factors": {"fit.gamma": [0.0, 2.0]},
        "recipe": {
            "net": {"model": "one_conv"},
            "fit": {"epochs": 2, "chip": 32, "members": 1, "schedule": "none"},
            "predict": {"window": 64, "overlap": 0, "tta": "none"},
        },
    }
    content["hypothesis"][0]["contrast"] = {"trend": "fit.gamma"}
    content["analysis"]["loss_ranking"] = "describe"
    run_study(make_study(content), out=tmp_path, how=quiet())
    store = Store.open(tmp_path)
    for member in store.members("tiny"):
        curves = store.curves(member.run)
        losses = [(epoch, value) for _, epoch, name, value in curves if name == "loss"]
        assert [epoch for epoch, _ in losses] == [1, 2]
        assert store.metrics(member.run)["train", "training", "loss"] == losses[-1][1]
        assert "seconds" not in {name for _, _, name, _ in curves}
        assert store.run(member.run)["facts"]["epochs"] == 2
    ranking = analyse(store, "tiny").loss_ranking
    assert [arm.loss_rank for arm in ranking.arms] == [1, 2]
    before = content_of(tmp_path)
    run = store.members("tiny")[1].run
    run_study(make_study(content), out=tmp_path, how=quiet(again=(run,)))
    assert content_of(tmp_path) == before


def test_hypotheses_are_frozen_and_changes_are_told(make_study, content, tmp_path):
    study = make_study(content, factors={"points.n": [2, 12]})
    run_study(study, out=tmp_path, how=quiet())
    store = Store.open(tmp_path)
    assert not analyse(store, "tiny").verdicts[0].changed
    content["hypothesis"][0]["smallest"] = 0.3
    changed = make_study(content, factors={"points.n": [2, 12]})
    run_study(changed, out=tmp_path, how=quiet())
    run_study(changed, out=tmp_path, how=quiet())
    found = analyse(store, "tiny")
    assert found.verdicts[0].changed
    assert found.verdicts[0].smallest == 0.3
    assert [change.number for change in found.changes] == [1]
    assert found.changes[0].before["hypothesis"][0]["smallest"] == 0.02
    assert any("changed after the first run" in note for note in found.notes)


def test_scorings_are_of_one_meaning_in_a_folder(make_study, content, tmp_path):
    content |= {"factors": {"points.n": [2, 12]}, "replicates": 2}
    link = {"area": "segment", "distance": 8.0, "tolerance": 0.0}
    content["scoring"] = {
        "source": {"count_others": True},
        "rim": {"border": 1},
        "linked": {"reference": "linked", "points": {"n": 6}, "link": link},
        "points": {"reference": "points", "points": {"n": 6}},
    }
    run_study(make_study(content), out=tmp_path, how=quiet())
    store = Store.open(tmp_path)
    metrics = store.metrics(store.members("tiny")[0].run)
    values = {name: metrics["test", name, "oa"] for name in ("standard", *content["scoring"])}
    assert values["source"] < values["standard"]
    assert len(set(values.values())) == 5
    run = store.members("tiny")[0].run
    pixels = {
        ref: sum(int(c.sum()) for c in store.counts(run, "test", ref).values())
        for (ref,) in store.database.execute("SELECT DISTINCT reference FROM counts").fetchall()
    }
    assert pixels["masks, border 1 left out"] < pixels["masks"] == 6 * 24 * 36
    linked = next(count for ref, count in pixels.items() if ref.startswith("linked"))
    drawn = next(count for ref, count in pixels.items() if ref.startswith("points"))
    assert linked > drawn > 6 * 3 * 5
    content |= {"name": "other", "scoring": {"source": {"per_image": True}}}
    with pytest.raises(StudyError, match="'source' means something else in study 'tiny'"):
        run_study(make_study(content), out=tmp_path, how=quiet())


def test_bad_data_are_told_before_anything_runs(make_study, content, tmp_path):
    for change, said in (
        ({"data": {"collection": "collection.csv", "subset": {"test": 7}}}, "asks for 7 images"),
        ({"data": {"collection": "collection.csv", "val": "vl"}}, "no scene has split 'vl'"),
        ({"data": {"collection": "collection.csv", "ignore": ["sol"]}}, "nearest .* 'soil'"),
        ({"data": {"arrays": ["none.npz"]}}, "is no file; see --data"),
        ({"recipe": {"net": {"encoder_weights": "none.safetensors"}}}, "is no file; see --data"),
        ({"scoring": {"s": {"classes": ["sol"]}}}, "names class 'sol'"),
        ({"analysis": {"metrics": ["iou.sol"]}}, "'sol'; the nearest valid one is 'soil'"),
    ):
        with pytest.raises(Exception, match=said) as error:
            run_study(make_study({**content, **change}), out=tmp_path, how=quiet())
        assert "\n" not in str(error.value)
    assert not (tmp_path / FILE).exists()


def test_a_file_that_is_no_database_is_told(tmp_path):
    (tmp_path / FILE).write_text("this is no database, but long enough to be taken for one" * 30)
    with pytest.raises(StudyError, match="no database of studies"):
        Store.open(tmp_path)
    with pytest.raises(StudyError, match=r"no study\.sqlite"):
        Store.open(tmp_path / "nowhere")


def test_analysis_is_the_same_from_every_copy(finished):
    found = [analyse(Store.open(finished), "tiny").to_dict() for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["runs"] == {"done": 8}
    assert np.isfinite(found[0]["factors"][0]["effects"][0]["low"])


def test_arms_that_come_to_the_same_runs_are_told(make_study, content, tmp_path):
    """No image of these is a duplicate, so cleaning leaves out none."""
    content["hypothesis"][0]["contrast"] = {
        "this": {"data.clean": ["duplicates"]}, "than": {"data.clean": []},
    }  # fmt: skip
    study = make_study(content, factors={"data.clean": [[], ["duplicates"]]})
    said = []
    run_study(study, out=tmp_path, how=How(tell=said.append))
    assert len(said) == 2
    found = analyse(Store.open(tmp_path), "tiny")
    assert "'none' and 'duplicates' changes nothing on these data" in found.notes[0]
    assert found.verdicts[0].effect.estimate == 0
