"""The shipped studies can be planned: their data, weights and arms exist, and runs share fits."""

import html
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

from landvisor.geo.collection import open_collection
from landvisor.geo.handles import open_quietly
from landvisor.study.plan import make_plan
from landvisor.study.read import hash_frozen, parse_study, read_study
from landvisor.study.spec import ReportSpec
from landvisor.study.toml_text import write_toml

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for path in (ROOT / "studies").glob("*.toml") if path.stem != "example")
SHARED = ROOT.parent / "shared"
EXPECTED = {  # arms and fits a seed
    "alpha_gamma": (5, 5),
    "components": (12, 7),
    "mars_imbalance": (8, 8),
    "mars_losses": (10, 10),
    "points_and_linking": (12, 12),
}
WEIGHTS = "weights/mobilenetv2_100.safetensors"
SIZES = {"roads": (40, 40), "dunes": (48, 48), "mars": (16, 32)}
FEW = {"train": 6, "val": 2, "test": 3}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
@pytest.mark.parametrize("variant", ["", "full"])
def test_shipped_studies_are_planned_as_they_say(path, variant, tmp_path):
    """Images are small, few and invented; names and classes are those of the real ones."""
    study = read_study(path, variant=variant)
    base = tmp_path / "base"
    invent_data(base, study.spec.data)
    plan = make_plan(read_few(path, variant), base=base, home=tmp_path / "out")
    seeds = len(study.spec.seeds)
    assert seeds >= 3
    arms, fits = EXPECTED[path.stem]
    assert len({run.job.run for run in plan.runs}) == len(plan.runs) == arms * seeds
    assert len({run.job.fit for run in plan.runs}) == fits * seeds
    assert {role: split["images"] for role, split in plan.facts["splits"].items()} == FEW


def read_few(path, variant):
    """Read a study with a few images of each split in place of as many as it takes."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    content["name"] = path.stem
    for part in (content, content["variant"]["full"]):
        part.setdefault("data", {})["subset"] = dict(FEW)
    return parse_study(content, variant=variant, folder=path.parent)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_say_what_they_cost_and_what_would_refute_the_source(path):
    head = path.read_text(encoding="utf-8").split("purpose =")[0]
    assert f"landvisor study run studies/{path.name} --data ../shared" in head
    assert re.search(r"# Cost: \d+ runs", head)
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert all(claim["smallest"] > 0 for claim in content["hypothesis"])
    assert path.stem in (ROOT / "docs" / "studies" / "index.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_committed_reports_are_of_the_studies_as_shipped(path):
    page = (ROOT / "docs" / "studies" / f"{path.stem}.html").read_text(encoding="utf-8")
    study = read_study(path)
    assert hash_frozen(study.frozen()) in page
    assert "They have not been changed since" in page
    assert "is not finished" not in page
    listing = write_toml(study.spec.model_copy(update={"report": ReportSpec()}))
    assert listing.strip() in html.unescape(page)
    assert " ".join(study.spec.report.discussion.split()[:12]) in html.unescape(page)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="the data of the studies are not here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_files_that_shipped_studies_name_exist(path):
    study = read_study(path)
    data = study.spec.data
    weights = {arm.choices.recipe.net.encoder_weights for arm in study.design.arms}
    files = [*([data.collection] if data.collection else data.arrays), data.legend]
    for name in [*files, *(w for w in weights if w.endswith(".safetensors"))]:
        assert (SHARED / name).exists()
    if data.collection:
        whole = open_collection(SHARED / data.collection)
        for role in ("train", "val", "test"):
            assert getattr(data.subset, role) <= len(whole.select(role).items)


def invent_data(base, data):
    """Write what a study's data would be, in small, with the legend of the real ones."""
    name = "mars" if data.arrays else Path(data.collection).parent.name
    folder = base / "data" / name
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "study" / "legends" / f"{name}.toml", folder / "legend.toml")
    (base / WEIGHTS).parent.mkdir(parents=True)
    (base / WEIGHTS).write_bytes(b"no weights, but a file to be hashed")
    (_write_arrays if data.arrays else _write_collection)(folder, SIZES[name])


def _write_collection(folder, size):
    rows, generator = ["image,mask,split,group"], np.random.default_rng(0)
    for split, count in FEW.items():
        for number in range(count):
            stem = f"{split}{number}"
            _write(folder / f"{stem}.png", generator.integers(30, 255, (3, *size)))
            _write(folder / f"{stem}_mask.png", generator.integers(1, 3, (1, *size)))
            rows.append(f"{stem}.png,{stem}_mask.png,{split},{stem}")
    (folder / "collection.csv").write_text("\n".join(rows), encoding="utf-8")


def _write_arrays(folder, size):
    generator = np.random.default_rng(0)
    for name, count in (("train", 12), ("test", 4)):
        images = generator.integers(0, 255, (count, *size)).astype(np.uint8)
        masks = generator.integers(0, 5, (count, *size)).astype(np.uint8)
        if name == "train":  # a figure pasted into some: they have one mask
            masks[::4] = masks[0]
        arrays = {"training_set": np.stack([images, masks], axis=1)}
        if name == "test":
            arrays = {"images": images, "masks": masks}
        group = np.array([f"{name}{number}" for number in range(count)])
        np.savez(folder / f"mars_{name}.npz", group=group, **arrays)


def _write(path, data):
    count, rows, cols = data.shape
    profile = {"driver": "PNG", "dtype": "uint8", "count": count, "height": rows, "width": cols}
    with open_quietly(path, "w", **profile) as target:
        target.write(data.astype(np.uint8))
