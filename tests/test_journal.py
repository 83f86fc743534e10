"""A journal names what is finished, whatever happened while it was written."""

import json
from pathlib import Path

import pytest

from landvisor.errors import OutputError
from landvisor.journal import Journal

HERE = {"the model": "m", "the options": [1, 2]}


def test_what_was_written_is_known_to_the_next(tmp_path):
    first = Journal(tmp_path / "j", HERE)
    first.write("blocks/a/0-0", b"abc")
    again = Journal(tmp_path / "j", HERE)
    assert len(again) == 1
    assert again.holds("blocks/a/0-0")
    assert not again.holds("blocks/a/0-1")


@pytest.mark.parametrize("harm", [b"abd", b"ab", None])
def test_a_file_that_is_not_as_it_was_does_not_count(tmp_path, harm):
    Journal(tmp_path, HERE).write("a", b"abc")
    if harm is None:
        (tmp_path / "a").unlink()
    else:
        (tmp_path / "a").write_bytes(harm)
    assert not Journal(tmp_path, HERE).holds("a")


def test_a_journal_torn_anywhere_loses_only_its_last_line(tmp_path):
    whole = Journal(tmp_path, HERE)
    for name in "abc":
        whole.write(name, name.encode())
    path = tmp_path / "journal.jsonl"
    text = path.read_bytes()
    for length in range(len(text) + 1):
        path.write_bytes(text[:length])
        lines = text[:length].count(b"\n")
        found = Journal(tmp_path, HERE)
        assert len(found) == max(lines - 1, 0)
        if lines == 0:  # it began anew, so the files are gone
            for name in "abc":
                whole.write(name, name.encode())
            path.write_bytes(text)
            continue
        found.write("d", b"d")
        assert len(Journal(tmp_path, HERE)) == len(found)


def test_other_circumstances_start_anew_and_are_named(tmp_path, caplog):
    Journal(tmp_path, HERE).write("blocks/a", b"abc")
    found = Journal(tmp_path, HERE | {"the options": [1, 3]})
    assert len(found) == 0
    assert not (tmp_path / "blocks").exists()
    assert [r.message for r in caplog.records] == [
        "starting anew: the options changed since the last attempt"
    ]
    assert len(Journal(tmp_path, HERE | {"the options": [1, 3]})) == 0
    assert len(caplog.records) == 1


def test_a_file_made_by_others_is_noted(tmp_path):
    journal = Journal(tmp_path, HERE)
    (tmp_path / "map.tif").write_bytes(b"tiff")
    journal.note(tmp_path / "map.tif")
    assert Journal(tmp_path, HERE).holds("map.tif")


def test_a_relative_folder_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path("j"), HERE)
    file = journal.folder / "maps" / "map.tif"
    file.parent.mkdir()
    file.write_bytes(b"tiff")
    journal.note(file)
    assert journal.holds(file)
    assert journal.holds("maps/map.tif")


def test_what_it_says_is_plain_json(tmp_path):
    Journal(tmp_path, HERE).write("a", b"abc")
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == HERE
    assert json.loads(lines[1])["bytes"] == 3


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "file" / "j", HERE)


def test_an_empty_one_can_be_dropped_and_a_full_one_stays(tmp_path):
    empty, full = Journal(tmp_path / "e", HERE), Journal(tmp_path / "f", HERE)
    full.write("a", b"a")
    for journal in (empty, full):
        journal.drop_if_empty()
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
