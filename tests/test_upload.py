"""An upload is finished when its record is there, and replaces nothing that is not ours."""

import sys

import pytest

from landvisor.errors import OutputError
from landvisor.files import RECORD
from landvisor.upload import UNFINISHED, check_upload, upload_folder

fsspec = pytest.importorskip("fsspec")
URL = "memory://bucket/maps"


@pytest.fixture
def store():
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return memory


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    (made / "maps").mkdir(parents=True)
    for name in ("zebra.txt", "maps/a.tif", RECORD):
        (made / name).write_text(name)
    return made


def held(store):
    return {path.removeprefix("/bucket/maps/"): store.cat(path) for path in store.find("/bucket")}


def test_every_file_arrives_and_the_record_last(store, folder, monkeypatch):
    put, order = type(store).put_file, []

    def watch(self, local, remote, **how):
        order.append(remote.removeprefix("/bucket/maps/"))
        put(self, local, remote, **how)

    monkeypatch.setattr(type(store), "put_file", watch)
    upload_folder(folder, URL)
    assert held(store) == {name: name.encode() for name in ("zebra.txt", "maps/a.tif", RECORD)}
    assert order[-1] == RECORD


@pytest.mark.parametrize("broken", ["maps/a.tif", "zebra.txt", RECORD])
@pytest.mark.parametrize("replaces", [False, True])
def test_a_cut_upload_has_no_record_and_the_next_one_ends_it(
    store, folder, monkeypatch, broken, replaces
):
    if replaces:
        upload_folder(folder, URL)
    with monkeypatch.context() as patch:
        put = type(store).put_file

        def fail(self, local, remote, **how):
            if remote.endswith(broken):
                raise ConnectionError("the line is dead\nsecond line")
            put(self, local, remote, **how)

        patch.setattr(type(store), "put_file", fail)
        with pytest.raises(OutputError, match=r"cannot write .*the line is dead") as caught:
            upload_folder(folder, URL, overwrite=replaces)
    assert "\n" not in str(caught.value)
    assert RECORD not in held(store)
    assert UNFINISHED in held(store)
    check_upload(URL, overwrite=False)
    upload_folder(folder, URL)
    assert set(held(store)) == {"zebra.txt", "maps/a.tif", RECORD}


def test_a_finished_one_is_replaced_only_when_told(store, folder):
    upload_folder(folder, URL)
    (folder / "zebra.txt").unlink()
    for refuse in (lambda: check_upload(URL, overwrite=False), lambda: upload_folder(folder, URL)):
        with pytest.raises(OutputError, match="exists already; add --overwrite"):
            refuse()
    upload_folder(folder, URL, overwrite=True)
    assert set(held(store)) == {"maps/a.tif", RECORD}


def test_what_others_put_there_is_never_replaced(store, folder):
    store.pipe_file("/bucket/maps/thesis.doc", b"precious")
    with pytest.raises(OutputError, match=f"no {RECORD}, so landvisor did not make it"):
        upload_folder(folder, URL, overwrite=True)
    assert held(store) == {"thesis.doc": b"precious"}


def test_what_arrives_short_is_no_output(store, folder, monkeypatch):
    monkeypatch.setattr(
        type(store), "put_file", lambda self, local, remote, **_: self.pipe_file(remote, b"")
    )
    with pytest.raises(OutputError, match=r"maps/a.tif has 0 bytes after the upload, need 10"):
        upload_folder(folder, URL)
    assert RECORD not in held(store)


def test_a_folder_without_a_record_is_not_uploaded(store, folder):
    (folder / RECORD).unlink()
    with pytest.raises(OutputError, match="not finished"):
        upload_folder(folder, URL)
    assert held(store) == {}


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_missing_package_is_named(scheme, monkeypatch):
    package = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}[scheme]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OutputError, match=f"needs the package {package}.*pip install {package}"):
        check_upload(f"{scheme}://bucket/maps", overwrite=False)


def test_other_addresses_are_refused():
    with pytest.raises(OutputError, match="no folder that can be uploaded to; need one of s3://"):
        check_upload("https://a.org/maps", overwrite=False)
