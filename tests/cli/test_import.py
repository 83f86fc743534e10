import json

import numpy as np
import pytest
from click.testing import CliRunner

from landvisor.cli.main import group, main


@pytest.fixture
def arrays(tmp_path):
    pairs = np.resize([1, 2], (6, 2, 4, 5)).astype(np.uint8)
    file = tmp_path / "train.npz"
    np.savez(file, training_set=pairs, group=np.array(list("aabbcc")))
    return file


def test_import_says_what_it_made(arrays, tmp_path):
    result = CliRunner().invoke(
        group, ["import", str(arrays), "--val-share", "0.3", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert "images: 6, of which 6 have a mask" in result.stdout
    assert "train 4, val 2" in result.stdout
    assert str(tmp_path / "out" / "collection.csv") in result.stdout


def test_import_speaks_json(arrays, tmp_path):
    result = CliRunner().invoke(
        group, ["import", str(arrays), "--splits", "test", "--json", "-o", str(tmp_path / "out")]
    )
    found = json.loads(result.stdout)
    assert found["splits"] == {"test": 6}
    assert [c["pixels"] for c in found["classes"]] == [60, 60]


def test_splits_that_do_not_match_the_sources_fail_in_one_line(arrays, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["import", str(arrays), "--splits", "train,test", "--out", str(tmp_path / "out")])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_missing_folder_fails_in_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["import", str(tmp_path / "nothing"), "--out", str(tmp_path / "out")])
    assert caught.value.code == 1
    assert "no image at" in capsys.readouterr().err
