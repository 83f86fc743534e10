"""Outputs appear whole or not at all, and say what they were made from."""

import errno
import hashlib
import json
import math
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import OutputError, SceneError
from landvisor.files import (
    RECORD,
    check_output,
    hash_file,
    publish_directory,
    publish_file,
    work_folder,
    write_json,
    writing,
)
from landvisor.record import run_record


def _make_bundle(folder: Path, content: str) -> None:
    with publish_directory(folder, overwrite=True) as staging:
        (staging / "map.tif").write_text(content)
        (staging / f"{content}.txt").write_text(content)
        (staging / RECORD).write_text("{}")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _fail(target: Path, error: BaseException) -> None:
    with publish_directory(target, overwrite=True) as staging:
        (staging / "map.tif").write_text("half")
        raise error


def _fail_with_file(target: Path, error: Exception) -> None:
    with publish_file(target, overwrite=True) as path:
        path.write_text("half")
        raise error


def _be_slower(target: Path) -> None:
    with publish_directory(target) as staging:
        (staging / "map.tif").write_text("slow")
        _make_bundle(target, "fast")


def _content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_directory_appears_only_when_its_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with publish_directory(target) as staging:
        (staging / "sub").mkdir()
        (staging / "sub" / "file").write_text("x")
        assert not target.exists()
        assert staging.parent == target.parent
    assert (target / "sub" / "file").read_text() == "x"
    assert _names(tmp_path) == ["result"]


def test_an_exception_leaves_nothing_new(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail(tmp_path / "result", ZeroDivisionError())
    assert _names(tmp_path) == []


def test_an_exception_leaves_the_old_result_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "result"
    _make_bundle(target, "old")
    before = _content(target)
    with pytest.raises(KeyboardInterrupt):
        _fail(target, KeyboardInterrupt())
    assert _content(target) == before
    assert _names(tmp_path) == ["result"]


def test_a_killed_process_changes_nothing_at_the_target(tmp_path: Path) -> None:
    target = tmp_path / "result"
    _make_bundle(target, "old")
    before = _content(target)
    code = (
        "import os, sys; from landvisor.files import publish_directory\n"
        "with publish_directory(sys.argv[1], overwrite=True) as staging:\n"
        "    (staging / 'map.tif').write_text('new'); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert done.returncode == 9
    assert _content(target) == before


def test_overwriting_never_mixes_old_and_new_files(tmp_path: Path) -> None:
    target = tmp_path / "result"
    _make_bundle(target, "old")
    _make_bundle(target, "new")
    assert set(_content(target)) == {"map.tif", "new.txt", RECORD}
    assert _names(tmp_path) == ["result"]


def test_a_failed_rename_brings_the_old_result_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "result"
    _make_bundle(target, "old")
    rename = Path.rename

    def refuse(path: Path, goal: Path) -> Path:
        if path.name.endswith(".part"):
            raise OSError(errno.EIO, "broken")
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="cannot write"):
        _make_bundle(target, "new")
    assert "old.txt" in _content(target)
    assert _names(tmp_path) == ["result"]


def test_an_existing_output_is_refused_before_any_work(tmp_path: Path) -> None:
    target = tmp_path / "result"
    _make_bundle(target, "old")
    entered = False
    with pytest.raises(OutputError, match="--overwrite"), publish_directory(target):
        entered = True
    assert not entered


def test_a_folder_that_landvisor_did_not_make_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(OutputError, match="did not make it"):
        check_output(tmp_path / "thesis", overwrite=True)


def test_an_empty_folder_counts_as_free(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    with publish_directory(tmp_path / "result") as staging:
        (staging / "a").write_text("a")
    assert _names(tmp_path / "result") == ["a"]


def test_a_missing_parent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is not a folder; create it"):
        check_output(tmp_path / "no" / "result", overwrite=False)


def test_a_locked_parent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # rights do not bind a superuser
    with pytest.raises(OutputError, match="not writable"):
        check_output(tmp_path / "result", overwrite=False)


def test_a_result_behind_a_link_is_replaced_there(tmp_path: Path) -> None:
    _make_bundle(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    _make_bundle(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert "new.txt" in _content(tmp_path / "real")


def test_someone_who_was_faster_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "result"
    with pytest.raises(OutputError, match="exists already"):
        _be_slower(target)
    assert "fast.txt" in _content(target)


def test_a_file_is_published_under_its_own_name(tmp_path: Path) -> None:
    with publish_file(tmp_path / "model.safetensors") as path:
        assert path.name == "model.safetensors"
        path.write_bytes(b"x")
        path.with_suffix(".lock").write_bytes(b"side file")
        assert _names(tmp_path) != ["model.safetensors"]
    assert _names(tmp_path) == ["model.safetensors"]


def test_a_file_that_failed_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "points.gpkg"
    target.write_text("old")
    with pytest.raises(SceneError):
        _fail_with_file(target, SceneError("no such scene"))
    assert target.read_text() == "old"
    assert _names(tmp_path) == ["points.gpkg"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_and_folders_do_not_replace_each_other(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError), publish_file(tmp_path / "folder", overwrite=overwrite):
        pass
    with pytest.raises(OutputError), publish_directory(tmp_path / "file", overwrite=overwrite):
        pass


def test_a_full_disk_is_named_and_nothing_is_published(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"disk full.*free some space"),
        publish_directory(tmp_path / "result"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert _names(tmp_path) == []


def test_other_errors_inside_a_block_keep_their_own_words(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), publish_directory(tmp_path / "result"):
        (tmp_path / "input that is missing").read_text()


def test_a_failed_write_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*change --out"), writing(tmp_path / "a"):
        raise PermissionError(errno.EACCES, "denied")


def test_a_hash_is_the_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert hash_file(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_run_record_holds_versions_hashes_seed_and_command(tmp_path: Path) -> None:
    (tmp_path / "scene.tif").write_bytes(b"pixels")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "map.tif").write_bytes(b"map")
    record = run_record(
        ["landvisor", "map"],
        seed=7,
        recipe={"seed": 7},
        inputs={"scene": tmp_path / "scene.tif", "remote": "/vsicurl/nowhere.tif"},
        started=datetime.now(UTC),
        outputs=tmp_path / "out",
    )
    assert record["command"] == ["landvisor", "map"]
    assert record["inputs"]["scene"]["sha256"] == hashlib.sha256(b"pixels").hexdigest()
    assert record["inputs"]["remote"]["sha256"] is None
    assert record["outputs"] == {"map.tif": hashlib.sha256(b"map").hexdigest()}
    assert {"python", "gdal", "numpy", "torch", "landvisor"} <= set(record["versions"])
    assert record["started"] <= record["finished"]
    write_json(tmp_path / RECORD, record)


def test_a_run_record_does_not_import_torch() -> None:
    code = (
        "import sys; from datetime import *; from landvisor.record import run_record\n"
        "run_record([], seed=0, recipe={}, inputs={}, started=datetime.now(UTC))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_json_turns_what_it_lacks_into_what_it_has(tmp_path: Path) -> None:
    content = {
        "absent": math.nan,
        "array": np.array([1.5, np.inf], dtype=np.float32),
        "count": np.int64(3),
        "path": Path("a/b"),
        1: (True, None, "ü"),
    }
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {
        "absent": None,
        "array": [1.5, None],
        "count": 3,
        "path": "a/b",
        "1": [True, None, "ü"],
    }


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == content


def test_an_output_of_the_other_kind_is_refused_before_any_work(tmp_path):
    (tmp_path / "result").touch()
    with pytest.raises(OutputError, match="is a file, a folder is to be written"):
        check_output(tmp_path / "result", overwrite=True, kind="folder")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "run.json").touch()
    with pytest.raises(OutputError, match="is a folder, a file is to be written"):
        check_output(tmp_path / "folder", overwrite=True, kind="file")


def test_an_error_leaves_no_empty_work_folder_but_one_to_go_on_from(tmp_path):
    work = tmp_path / ".result.work"
    with pytest.raises(KeyError), work_folder(tmp_path / "result"):
        raise KeyError
    assert not work.exists()
    with pytest.raises(FileExistsError), work_folder(tmp_path / "result") as folder:
        [(folder / "checkpoint").touch(exist_ok=False) for _ in range(2)]
    assert (work / "checkpoint").exists()


def test_a_work_folder_belongs_to_one_at_a_time(tmp_path):
    with work_folder(tmp_path / "result") as folder:
        (folder / "block").touch()
        with (
            pytest.raises(OutputError, match=r"another run is writing '.*result'; wait for it"),
            work_folder(tmp_path / "result"),
        ):
            pass
        assert (folder / "block").exists()
    with work_folder(tmp_path / "result"):
        pass


def test_a_failure_in_a_work_folder_names_the_output(tmp_path):
    with (
        pytest.raises(
            OutputError, match=f"while writing '{tmp_path}/result' |write '{tmp_path}/result':"
        ),
        work_folder(tmp_path / "result") as folder,
        writing(folder / "predict" / "blocks" / "0-0"),
    ):
        raise OSError("lost")


def test_a_failure_names_the_output_and_not_the_hidden_folder(tmp_path):
    target = tmp_path / "result"
    with (
        pytest.raises(OutputError, match=f"'{target}/map.tif'"),
        publish_directory(target) as folder,
        writing(folder / "map.tif"),
    ):
        raise OSError("lost")


def test_an_output_never_replaces_what_the_run_reads(tmp_path):
    image, folder = tmp_path / "scene.tif", tmp_path / "maps"
    image.touch()
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "model.safetensors").touch()
    link = tmp_path / "link.tif"
    link.symlink_to(image)
    for out, read in ((image, image), (link, image), (folder, folder / "model.safetensors")):
        with pytest.raises(OutputError, match="would be lost; change --out"):
            check_output(out, overwrite=True, inputs=[None, 3, str(read)])
    check_output(folder, overwrite=True, inputs=[image, tmp_path / "gone.tif"])
    check_output(folder / "new.tif", overwrite=False, inputs=[folder])
