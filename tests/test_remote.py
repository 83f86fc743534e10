"""Addresses are told from paths, keep their form and their secrets, and are fetched patiently."""

import json
from pathlib import Path

import pytest

from landvisor.errors import SceneError
from landvisor.remote import (
    as_place,
    find_stem,
    hide_query,
    is_remote,
    read_json,
    restore_address,
)


@pytest.mark.parametrize(
    "address",
    [
        "https://a.org/b/c.tif",
        "http://a.org/c.tif?sig=x",
        "s3://bucket/c.tif",
        "gs://bucket/c.tif",
        "az://container/c.tif",
        "/vsicurl/https://a.org/c.tif",
        "/vsis3/bucket/c.tif",
        "/vsizip//vsicurl/https://a.org/b.zip/c.tif",
    ],
)
def test_an_address_is_no_path_and_keeps_its_slashes(address):
    assert is_remote(address)
    assert is_remote(Path(address))
    assert as_place(address) == restore_address(address) == address
    assert find_stem(address) == "c"


@pytest.mark.parametrize(
    "path", ["a.tif", "/data/a.tif", "C:/a.tif", "NETCDF:a.nc:b", "/vsizip//a/b.zip/c.tif", "s3/a"]
)
def test_a_path_is_no_address(path):
    assert not is_remote(path)


def test_what_a_path_would_change_stays_text():
    assert as_place("/vsizip//a/b.zip/c.tif") == "/vsizip//a/b.zip/c.tif"
    assert as_place("a//b.tif") == Path("a/b.tif")


def test_an_address_that_was_a_path_is_restored():
    assert restore_address(Path("https://a.org/b.tif")) == "https://a.org/b.tif"
    assert restore_address("b//a.tif") == "b//a.tif"


def test_a_signature_is_not_shown():
    assert hide_query("https://a.org/b.tif?sig=secret") == "https://a.org/b.tif"
    assert find_stem("https://a.org/b.tif?sig=s.e.cret") == "b"
    assert hide_query("odd?.tif") == "odd?.tif"


def test_json_is_fetched_though_the_server_is_busy_at_first(shelf):
    (shelf.folder / "a.json").write_text('{"one": 1}')
    shelf.busy = ["a.json", "a.json"]
    assert read_json(shelf.address("a.json")) == {"one": 1}
    assert shelf.asked == ["GET a.json"] * 3


def test_tries_end(shelf, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    shelf.busy = ["a.json"] * 3
    with pytest.raises(SceneError, match=r"a.json' cannot be fetched .*503.*check the address"):
        read_json(shelf.address("a.json?sig=secret"))
    assert len(shelf.asked) == 2


def test_what_is_not_there_is_not_asked_for_again(shelf):
    with pytest.raises(SceneError, match="404") as caught:
        read_json(shelf.address("a.json?sig=secret"))
    assert len(shelf.asked) == 1
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_server_calls_an_image_is_left_there(shelf):
    (shelf.folder / "a.tif").write_bytes(b"II*")
    assert read_json(shelf.address("a.tif")) is None


def test_damaged_json_is_said(shelf):
    (shelf.folder / "a.json").write_text("{")
    with pytest.raises(SceneError, match="is not JSON"):
        read_json(shelf.address("a.json"))


def test_json_comes_from_object_stores_too():
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe_file("/catalogue/a.json", json.dumps([1]).encode())
    assert read_json("memory://catalogue/a.json") == [1]
    with pytest.raises(SceneError, match="cannot be fetched"):
        read_json("memory://catalogue/b.json")
