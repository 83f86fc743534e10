"""A card travels inside its model file and is read without the weights."""

import json
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from landvisor.card import CARD_KEY, FORMAT, Card, card_classes, parse_card, read_card
from landvisor.errors import ModelError
from landvisor.geo.legend import LandClass, Legend
from landvisor.recipe import Recipe

LEGEND = Legend(
    (
        LandClass(0, "sea", "#0000ff"),
        LandClass(7, "Dünen 沙", "#ffff00"),
        LandClass(9, "shade", "#000000", ignore=True),
        LandClass(11, "lake", "#0000aa", merged_into=0),
    )
)
CARD = Card(
    kind="instant",
    classes=card_classes(LEGEND),
    bands=("red", "nir"),
    dtype="uint16",
    mean=(0.1, 1 / 3),
    std=(1e-7, 2.5),
    histogram=((0.0, 1.0), (2.0, 3.0)),
    recipe=Recipe().with_values({"fit.lr": 0.123, "net.encoder_args": {"a": [1, 2]}}),
    training={"places": {"sea": 3}},
    notes=("a note",),
)


def save(path, card):
    save_file({"w": np.ones(3, np.float32)}, path, {CARD_KEY: card})
    return path


def test_a_card_survives_its_file(tmp_path):
    path = save(tmp_path / "m.safetensors", CARD.model_dump_json())
    assert read_card(path) == CARD
    assert read_card(str(path)).legend == LEGEND


def test_a_card_of_before_temperatures_changes_no_probability(tmp_path):
    content = CARD.model_dump(mode="json")
    del content["temperature"], content["recipe"]["predict"]["calibrate"]
    for key in ("hold_out", "buffer"):
        del content["recipe"]["assess"][key]
    content["recipe"]["assess"]["folds"] = 5
    old = read_card(save(tmp_path / "old.safetensors", json.dumps(content)))
    assert old.temperature == 1
    assert old.recipe.assess.folds == 5


@pytest.mark.parametrize("value", [0.0, -1.0, "NaN"])
def test_a_temperature_that_is_none_is_refused(tmp_path, value):
    content = {**CARD.model_dump(mode="json"), "temperature": value}
    refused(save(tmp_path / "bad.safetensors", json.dumps(content)), "temperature")


def test_reading_a_card_needs_no_torch(tmp_path):
    path = save(tmp_path / "m.safetensors", CARD.model_dump_json())
    code = (
        "import sys; from landvisor.card import read_card; read_card(sys.argv[1]);"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


def test_a_missing_model_is_named(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelError, match="no model at"):
            read_card(path)


def refused(path, said):
    with pytest.raises(ModelError, match=said) as caught:
        read_card(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"weights": [1, 2, 3]}),
        b"",
        b"PK\x03\x04" + bytes(60),
        struct.pack("<Q", 5) + b"[1,2]",
        struct.pack("<Q", 4) + b"{{{{",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 2) + b"\xff\xfe",
    ],
)
def test_a_pickle_or_any_other_file_is_refused(tmp_path, content):
    (tmp_path / "m.pt").write_bytes(content)
    refused(tmp_path / "m.pt", "is not a safetensors file.*never pickles")


def test_a_foreign_model_is_refused(tmp_path):
    save_file({"w": np.ones(3, np.float32)}, tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", "holds weights but no landvisor card")
    save_file({"w": np.ones(3, np.float32)}, tmp_path / "b.safetensors", {"format": "pt"})
    refused(tmp_path / "b.safetensors", "holds weights but no landvisor card")
    header = b'{"__metadata__": [1]}'
    (tmp_path / "c.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    refused(tmp_path / "c.safetensors", "holds weights but no landvisor card")


def changed(**values):
    return json.dumps({**json.loads(CARD.model_dump_json()), **values})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged"),
        ("[1]", "is damaged"),
        (changed(format="1.0"), "is damaged"),
        (changed(format=FORMAT + 1), "card format 2; update landvisor"),
        (changed(colour="red"), r"is damaged \(colour: Extra inputs"),
        (changed(mean="high"), r"is damaged \(mean: "),
        (changed(recipe={"fit": {"lrr": 1}}), r"is damaged \(recipe.fit.lrr: "),
    ],
)
def test_a_damaged_or_newer_card_says_what_is_wrong(tmp_path, text, said):
    refused(save(tmp_path / "m.safetensors", text), said)


def test_a_card_names_the_file_it_came_from():
    with pytest.raises(ModelError, match=r"'x\.safetensors' holds weights"):
        parse_card(None, name="x.safetensors")
