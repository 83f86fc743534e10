import csv
import json

import pytest

from landvisor.errors import OutputError, RecipeError
from landvisor.learn import curves
from landvisor.learn.checkpoint import Journal
from landvisor.learn.curves import CsvCurves, TensorBoardCurves, curves_path, make_curves
from landvisor.options import Options


def read_table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_table_has_a_row_for_every_epoch_of_every_training(tmp_path):
    found = CsvCurves(tmp_path / "model.safetensors")
    found.start("first", [{"fit": "first", "epoch": 1, "loss": 2.0, "oa": 0.5}])
    found.add({"epoch": 2, "loss": 1.0, "oa": float("nan")})
    found.start("second", [])
    found.add({"epoch": 1, "loss": 0.5})
    found.publish(overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["model.metrics.csv"]
    rows = read_table(tmp_path / "model.metrics.csv")
    assert [list(row.values()) for row in rows] == [
        ["first", "1", "2.0", "0.5"],
        ["first", "2", "1.0", ""],
        ["second", "1", "0.5", ""],
    ]


def test_a_training_that_goes_on_is_told_once(tmp_path):
    journal = Journal(tmp_path / "work", "run")
    journal.forget_after(0)
    for epoch in (1, 2):
        journal.write_metrics({"epoch": epoch, "loss": 1.0})
    Journal(journal.folder, "other").write_metrics({"epoch": 1, "loss": 9.0})
    with (journal.folder / "metrics.jsonl").open("a") as stream:
        stream.write('{"fit": "run", "epo')  # a kill cut it off
    found = CsvCurves(tmp_path / "model.safetensors")
    for _ in range(2):
        found.start("run", journal.records())
    found.add({"epoch": 3, "loss": 1.0})
    assert [(row["fit"], row["epoch"]) for row in found.rows] == [("run", k) for k in (1, 2, 3)]


def test_nothing_recorded_leaves_no_file(tmp_path):
    CsvCurves(tmp_path / "model.safetensors").publish(overwrite=False)
    assert not list(tmp_path.iterdir())


def test_a_table_that_exists_is_refused_before_training(tmp_path):
    out = tmp_path / "model.safetensors"
    curves_path(out).write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        make_curves(Options(), out)
    assert isinstance(make_curves(Options(overwrite=True), out), CsvCurves)
    assert make_curves(Options(logger="none"), out) is None


def test_only_the_first_process_logs(tmp_path, monkeypatch):
    for name, value in {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "RANK": 1}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
    assert make_curves(Options(), tmp_path / "model.safetensors") is None


def test_tensorboard_that_is_not_installed_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match="run pip install tensorboard, or choose csv"):
        make_curves(Options(logger="tensorboard"), tmp_path / "model.safetensors")


def test_tensorboard_gets_earlier_epochs_again_and_then_each_new_one(tmp_path, monkeypatch):
    told = []

    class Logger:
        def __init__(self, folder, **options):
            told.append((folder.name, options["version"], options["purge_step"]))

        def log_metrics(self, figures, *, step):
            told.append((step, json.dumps(figures)))

        def finalize(self, status):
            told.append(status)

    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("lightning.pytorch.loggers.TensorBoardLogger", Logger)
    found = make_curves(Options(logger="tensorboard"), tmp_path / "model.safetensors")
    assert isinstance(found, TensorBoardCurves)
    found.start("run", [{"fit": "run", "epoch": 1, "loss": 2.0}])
    found.add({"epoch": 2, "loss": 1.0, "oa": float("nan")})
    found.publish(overwrite=False)
    assert told == [
        ("model.tensorboard", "run", 0),
        (1, '{"loss": 2.0}'),
        (2, '{"loss": 1.0}'),
        "success",
    ]
