"""`clean` lists what does not belong and why, and touches nothing that it was given."""

import csv
import hashlib

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from scipy.ndimage import gaussian_filter

from landvisor.cli.clean_verb import DETECTORS as OFFERED
from landvisor.cli.main import group
from landvisor.errors import CollectionError, OutputError
from landvisor.geo.collection import Collection, Item, open_collection
from landvisor.geo.scene import scene_from_array
from landvisor.geo.styles import pixel_space_allowed
from landvisor.labels.clean import DEFAULT, clean_collection, write_cleaned
from landvisor.labels.detectors import DETECTORS, Verdict
from landvisor.phrases import say_count

RING = 1 + (np.hypot(*np.mgrid[-15:15, -20:20]) < 11).astype(np.uint8)
LEGEND = """[[class]]
id = 1
name = "soil"
color = "#aa8855"
[[class]]
id = 2
name = "rock"
color = "#888888"
"""


def write_picture(path, data):
    path.parent.mkdir(exist_ok=True)
    bands = data if data.ndim == 3 else data[None]
    with pixel_space_allowed(), rasterio.open(
        path, "w", driver="PNG", width=bands.shape[2], height=bands.shape[1], count=len(bands),
        dtype="uint8",
    ) as out:  # fmt: skip
        out.write(bands.astype(np.uint8))


def draw_image(seed):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(30, 40)), 2)
    return np.clip(120 + 30 * smooth / smooth.std(), 0, 255)


@pytest.fixture
def folder(tmp_path):
    """Six images with masks of their own, and two that share a drawn one."""
    made = tmp_path / "given"
    made.mkdir()
    (made / "legend.toml").write_text(LEGEND)
    rows = []
    for k in range(8):
        write_picture(made / "images" / f"{k}.png", draw_image(k))
        write_picture(made / "masks" / f"{k}.png", RING if k in (2, 5) else np.roll(RING, k + 1, 1))
        rows.append(f"images/{k}.png,masks/{k}.png,{'test' if k > 5 else 'train'},g{k}")
    (made / "collection.csv").write_text("\n".join(["image,mask,split,group", *rows]) + "\n")
    return made


def hash_tree(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read_rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_filtered_collection_and_the_list_of_what_went(folder, tmp_path):
    before, out = hash_tree(folder), tmp_path / "out"
    cleaned = clean_collection(open_collection(folder))
    write_cleaned(cleaned, out)
    assert hash_tree(folder) == before
    kept = open_collection(out)
    assert [item.name for item in kept.items] == ["0", "1", "3", "4", "6", "7"]
    assert [item.split for item in kept.items] == ["train"] * 4 + ["test"] * 2
    assert kept.legend == open_collection(folder).legend
    np.testing.assert_array_equal(
        kept.items[0].read_mask(kept.items[0].open()), np.roll(RING, 1, 1)
    )
    went = read_rows(out / "removed.csv")
    assert [row["image"] for row in went] == [str(folder / "images" / f"{k}.png") for k in (2, 5)]
    assert {row["detector"] for row in went} == {"identical_masks"}
    assert all(float(row["score"]) > float(row["threshold"]) for row in went)
    assert "the mask of 1 other image, " in went[0]["reason"]
    assert (went[0]["split"], went[0]["group"]) == ("train", "g2")


def test_relative_paths_stay_valid_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    write_cleaned(clean_collection(open_collection("given")), tmp_path / "out")
    monkeypatch.chdir("/")
    assert all(item.open().shape == (30, 40) for item in open_collection(tmp_path / "out").items)


def test_a_function_is_a_detector_and_one_image_may_have_two_reasons(folder):
    def first_two(looks):
        return Verdict(np.arange(len(looks)) * -1.0, -1.5, tuple("why" for _ in looks))

    cleaned = clean_collection(open_collection(folder), detectors=["identical_masks", first_two])
    found = [(entry.item.name, entry.detector) for entry in cleaned.removed]
    assert found == [
        ("0", "first_two"), ("1", "first_two"), ("2", "identical_masks"), ("5", "identical_masks")
    ]  # fmt: skip
    twice = ["identical_masks", lambda looks: first_two(looks), lambda looks: first_two(looks)]
    again = clean_collection(open_collection(folder), detectors=[*twice, "identical_masks"])
    assert [entry.item.name for entry in again.removed] == ["0", "0", "1", "1", "2", "5"]
    assert again.summary()["removed"] == 4


def test_what_cannot_be_read_goes_with_what_was_said(folder):
    (folder / "images" / "3.png").write_bytes(b"\x89PNG no picture")
    write_picture(folder / "masks" / "4.png", np.ones((5, 5)))
    cleaned = clean_collection(open_collection(folder))
    said = {entry.item.name: entry for entry in cleaned.removed}
    assert set(said) == {"2", "3", "4", "5"}
    assert said["3"].detector == said["4"].detector == "unreadable"
    assert "need one band of (30, 40)" in said["4"].reason
    assert cleaned.summary()["unreadable"] == 2


def collect(*arrays, **options):
    scenes = [scene_from_array(a, name=f"{k}", **options) for k, a in enumerate(arrays)]
    return Collection(tuple(Item(scene.name, scene) for scene in scenes))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tiny_collections_stay_whole(folder, count):
    few = open_collection(folder)
    few = Collection(few.items[:count], few.legend)
    cleaned = clean_collection(few, detectors=tuple(DETECTORS))
    assert cleaned.kept == few
    mute = ("mean_pixel", "reconstruction", "feature_outlier")
    told = f"judged no image: {say_count(count, 'image')} cannot tell what is usual; need 10"
    assert cleaned.notes == tuple(f"{name} {told}" for name in mute)


def test_images_without_data_stay_and_are_told():
    blank = np.full((1, 20, 20), np.nan)
    cleaned = clean_collection(collect(blank, blank), detectors=["mean_pixel", "reconstruction"])
    assert len(cleaned.kept) == 2
    assert cleaned.notes == ("2 images without data not judged",)


def test_images_of_different_sizes_are_compared():
    whole = draw_image(0)
    cleaned = clean_collection(
        collect(whole, whole.repeat(3, 0).repeat(3, 1), draw_image(1)), detectors=["duplicates"]
    )
    assert [entry.item.name for entry in cleaned.removed] == ["1"]


@pytest.mark.parametrize(
    ("collection", "detectors", "said"),
    [
        (collect(np.ones((2, 9, 9)), np.ones((3, 9, 9))), ["mean_pixel"], "has 3 bands and '0'"),
        (collect(np.ones((2, 9, 9))), ["nonsense"], "choose among identical_masks"),
        (collect(np.ones((2, 9, 9))), DEFAULT, "no scene has one"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(collection, detectors, said):
    with pytest.raises(CollectionError, match=said):
        clean_collection(collection, detectors=detectors)


def test_a_collection_that_would_be_empty_is_refused(folder):
    twins = open_collection(folder)
    twins = Collection((twins.items[2], twins.items[5]), twins.legend)
    with pytest.raises(CollectionError, match="all 2 images would go"):
        clean_collection(twins)
    for k in (2, 5):
        (folder / "images" / f"{k}.png").unlink()
    with pytest.raises(CollectionError, match="none of 2 images can be read"):
        clean_collection(twins)


def test_its_own_input_is_never_replaced(folder):
    (folder / "run.json").write_text("{}")
    cleaned = clean_collection(open_collection(folder))
    with pytest.raises(OutputError, match="is or holds the input"):
        write_cleaned(cleaned, folder, overwrite=True)
    with pytest.raises(OutputError, match="is or holds the input"):
        write_cleaned(cleaned, folder.parent, overwrite=True)


def test_an_output_is_replaced_only_if_asked(folder, tmp_path):
    cleaned = clean_collection(open_collection(folder))
    write_cleaned(cleaned, tmp_path / "out")
    with pytest.raises(OutputError, match="--overwrite"):
        write_cleaned(cleaned, tmp_path / "out")
    write_cleaned(cleaned, tmp_path / "out", overwrite=True)


def test_the_verb_offers_every_detector_and_says_what_each_found(folder, tmp_path):
    assert set(OFFERED) == set(DETECTORS)
    arguments = ["clean", str(folder), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(group, [*arguments, "--detectors", "identical_masks, duplicates"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:3] == [
        "2 of 8 images left out", "identical_masks: 2", "duplicates: 0"
    ]  # fmt: skip
    assert CliRunner().invoke(group, [*arguments, "--detectors", "magic"]).exit_code == 2
    assert CliRunner().invoke(group, [*arguments, "--detectors", ","]).exit_code == 2
