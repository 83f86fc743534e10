"""STAC items are scenes: the asset that is meant, where it lies, and when it was taken."""

import json
from pathlib import Path

import numpy as np
import pytest

from landvisor.errors import CollectionError, SceneError
from landvisor.geo.collection import open_collection
from landvisor.geo.describe import find_kind
from landvisor.geo.stac_read import is_stac, read_stac

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
RED = np.full((1, 4, 6), 7, np.uint8)


def asset(href, *roles, kind=COG):
    return {"href": href, "type": kind, "roles": list(roles)}


def item(name="one", assets=None, **properties):
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "geometry": None,
        "properties": {"datetime": "2026-05-01T10:00:00Z", **properties},
        "links": [],
        "assets": assets or {"image": asset(f"./{name}.tif", "data")},
    }


def together(*items, **more):
    return {"type": "FeatureCollection", "features": list(items), **more}


@pytest.fixture
def save(tmp_path):
    def write(content, name="stac.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


def test_an_item_is_a_scene_with_its_day_and_clouds(save, make_tif):
    make_tif("one.tif", RED)
    path = save(item(**{"eo:cloud_cover": 12}))
    for source in (path, str(path), [path]):
        (found,) = open_collection(source).items
        assert (found.name, found.date, found.cloud_cover) == ("one", "2026-05-01T10:00:00Z", 12.0)
        assert (found.open().read().data == RED).all()
        assert found.open().name == "one"
    assert find_kind(path) == "collection"


def test_the_id_names_the_scene_and_not_the_file(save, make_tif):
    make_tif("B04.tif", RED)
    content = together(*(item(name, {"red": asset("B04.tif", "data")}) for name in "ab"))
    assert [scene.name for scene in open_collection(save(content)).open_scenes()] == ["a", "b"]


def test_an_interval_counts_from_its_beginning_and_clouds_may_be_unknown(save):
    (found,) = read_stac(save(item(datetime=None, start_datetime="2026-01-02T00:00:00Z")))
    assert (found.date, found.cloud_cover) == ("2026-01-02T00:00:00Z", None)


@pytest.mark.parametrize(
    "assets",
    [
        {"a": asset("x.tif", "data"), "b": asset("y.tif", "visual")},
        {"a": asset("x.tif"), "b": asset("y.png", "thumbnail", kind="image/png")},
        {"a": asset("x.tif", "data"), "b": {"roles": ["data"]}, "c": None},
        {"a": asset("x.tif", "data"), "b": asset("y.tif", "metadata"), "c": asset("z.tif")},
    ],
)
def test_the_asset_that_is_meant_needs_no_name(save, assets):
    path = save(item(assets=assets))
    assert read_stac(path)[0].files == (path.parent / "x.tif",)


MANY = {"red": asset("B04.tif", "data"), "nir": asset("B08.tif", "data")}


def test_of_several_assets_one_is_asked_for(save):
    with pytest.raises(CollectionError, match=r"'one' has the assets red, nir; name .*--asset"):
        read_stac(save(item(assets=MANY)))
    with pytest.raises(CollectionError, match="no asset 'blue'; it has red, nir"):
        read_stac(save(item(assets=MANY)), ["red", "blue"])


def test_several_assets_are_the_bands_of_one_scene(save, make_tif):
    make_tif("B04.tif", RED)
    make_tif("B08.tif", RED + 1)
    (scene,) = open_collection(save(item(assets=MANY)), assets=["nir", "red"]).open_scenes()
    assert (scene.name, scene.bands) == ("one", ("nir", "red"))
    assert scene.read().data[:, 0, 0].tolist() == [8, 7]
    (scene,) = open_collection(save(item(assets=MANY)), assets=["red"]).open_scenes()
    assert scene.bands == ("red",)


@pytest.mark.parametrize(
    ("base", "href", "place"),
    [
        ("https://a.org/c/i.json?key=1", "./x.tif", "https://a.org/c/x.tif"),
        ("https://a.org/c/i.json", "/x.tif", "https://a.org/x.tif"),
        ("s3://bucket/c/i.json", "../x.tif", "s3://bucket/x.tif"),
        ("s3://bucket/c/i.json", "https://a.org/x.tif", "https://a.org/x.tif"),
        (Path("c/i.json"), "x.tif", Path("c/x.tif")),
        (Path("c/i.json"), "/data/x.tif", Path("/data/x.tif")),
        (Path("c/i.json"), "file:///data/a%20b.tif", Path("/data/a b.tif")),
        (Path("c/i.json"), "/vsis3/bucket/x.tif", "/vsis3/bucket/x.tif"),
        (Path("c/i.json"), "s3://bucket/x.tif", "s3://bucket/x.tif"),
    ],
)
def test_a_relative_place_begins_where_the_json_lies(monkeypatch, base, href, place):
    content = item(assets={"a": asset(href, "data")})
    monkeypatch.setattr("landvisor.geo.stac_read._load", lambda source: content)
    assert read_stac(base)[0].files == (place,)


def test_items_come_over_the_network_with_their_images(shelf, save, make_tif):
    make_tif("c/one.tif", RED)
    save(item(), "c/item.json")
    shelf.busy = ["c/item.json"]
    address = shelf.address("c/item.json")
    (scene,) = open_collection(address).open_scenes()
    assert (scene.read().data == RED).all()
    assert find_kind(address) == "collection"
    assert find_kind(shelf.address("c/one.tif")) == "raster"


def test_all_pages_of_a_search_are_read(shelf, save):
    following = {"rel": "next", "href": "second"}
    save(together(item("a"), item("b"), links=[following]), "first")
    save(together(item("c"), links=[]), "second")
    found = read_stac(shelf.address("first?limit=2"))
    assert [image.name for image in found] == ["a", "b", "c"]
    assert found[2].files == (shelf.address("c.tif"),)


@pytest.mark.parametrize(
    "following",
    [{"href": "https://a.org/search", "method": "POST"}, {"href": "second.json"}],
)
def test_pages_that_cannot_be_fetched_are_never_left_out_in_silence(save, following):
    path = save(together(item(), links=[{"rel": "next", **following}]))
    with pytest.raises(CollectionError, match="one page of several"):
        read_stac(path)


def test_a_search_without_a_hit_is_said(save):
    with pytest.raises(CollectionError, match="holds no STAC item; widen the search"):
        read_stac(save(together(links=[])))


@pytest.mark.parametrize("kind", ["Collection", "Catalog"])
def test_a_catalogue_is_no_image(save, kind):
    path = save({"type": kind, "stac_version": "1.1.0", "links": []})
    with pytest.raises(CollectionError, match=f"is a STAC {kind}, which names no image"):
        open_collection(path)


def test_two_items_of_one_id_are_refused(save):
    with pytest.raises(CollectionError, match="two scenes are named 'one'"):
        open_collection(save(together(item(), item())))


POINTS = together({"type": "Feature", "properties": {"class": 1}, "geometry": None})


@pytest.mark.parametrize("content", [POINTS, together(), [1], {"type": "FeatureCollection"}])
def test_other_json_stays_what_it_is(save, content):
    path = save(content)
    assert not is_stac(path)
    assert find_kind(path) == "points"
    with pytest.raises(SceneError, match="not a raster"):
        open_collection(path).open_scenes()


def test_assets_of_what_is_not_stac_are_refused(save, make_tif, tmp_path):
    tif = make_tif("a.tif", RED)
    for source in (tif, [tif], tmp_path, str(tmp_path / "*.tif")):
        with pytest.raises(CollectionError, match="--asset red picks from STAC items"):
            open_collection(source, assets=["red"])
