import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from safetensors.numpy import save_file

from landvisor.card import CARD_KEY, Card, card_classes
from landvisor.cli.main import group, main
from landvisor.geo.legend import legend_from_names
from landvisor.recipe import Recipe


@pytest.fixture
def model(tmp_path):
    card = Card(
        kind="instant",
        classes=card_classes(legend_from_names(["sand", "sea"])),
        bands=("red", "nir"),
        dtype="uint16",
        mean=(1.0, 2.0),
        std=(1.0, 1.0),
        recipe=Recipe().with_values({"net.model": "bank"}),
        training={"places": 12},
        validation={"oa": 0.75},
        notes=("placed by an oracle",),
    )
    path = tmp_path / "model.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, path, {CARD_KEY: card.model_dump_json()})
    return path


def test_info_reads_the_card_of_a_model(model):
    result = CliRunner().invoke(group, ["info", str(model)])
    assert result.exit_code == 0, result.output
    for line in ("bands: red, nir", "recipe: net.model bank", "note: placed by an oracle"):
        assert line in result.stdout.splitlines()


def test_info_on_a_model_gives_the_whole_recipe_as_json(model):
    found = json.loads(CliRunner().invoke(group, ["info", str(model), "--json"]).stdout)
    assert found["recipe"]["net"]["model"] == "bank"
    assert found["validation"] == {"oa": 0.75}


def test_info_on_a_model_never_imports_torch(model):
    code = (
        "import sys; from landvisor.cli.main import group;"
        f"group.main(['info', {str(model)!r}], standalone_mode=False);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_info_describes_a_raster(tmp_path):
    path = tmp_path / "scene.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=4, height=3, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(1, 0, 600000, 0, -1, 5000000),
    ) as out:  # fmt: skip
        out.write(np.full((1, 3, 4), 6, np.uint8))
    result = CliRunner().invoke(group, ["info", str(path)])
    assert "crs: EPSG:32633" in result.stdout
    assert "  band 1, low 6, high 6" in result.stdout


@pytest.mark.parametrize("name", ["none.tif", "damaged.safetensors"])
def test_what_cannot_be_read_fails_in_one_line(tmp_path, capsys, name):
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as caught:
        main(["info", str(tmp_path / name)])
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1
