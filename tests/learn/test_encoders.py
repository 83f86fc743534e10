from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from landvisor.errors import ModelError
from landvisor.learn import encoder_weights
from landvisor.learn.encoders import adapt_first, load_encoder, match_bands
from landvisor.recipe import NetSpec

RGB = ("red", "green", "blue")
REAL = Path(__file__).parents[3] / "shared" / "weights"
TINY = NetSpec(encoder="mobilenetv2_050", encoder_weights="none")


def make_spec(weights, **more):
    return TINY.model_copy(update={"encoder_weights": str(weights), **more})


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    """A safetensors file such as users have: the state of a whole timm classifier."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("mobilenetv2_050")
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(model.state_dict(), path)
    return path


def read_last(encoder, image):
    with torch.inference_mode():
        return encoder.module.eval()(image)[-1]


def test_a_file_gives_the_features_of_its_own_classifier(tiny_weights):
    import timm

    model = timm.create_model("mobilenetv2_050").eval()
    model.load_state_dict(load_file(tiny_weights))
    image = torch.randn(1, 3, 64, 64)
    encoder = load_encoder(make_spec(tiny_weights), RGB)
    with torch.inference_mode():
        expected = model.blocks(model.bn1(model.conv_stem(image)))
    assert torch.allclose(read_last(encoder, image), expected, atol=1e-3)
    assert encoder.pretrained
    assert encoder.strides == (2, 4, 8, 16, 32)


def test_classifier_keys_are_listed_and_ignored(tiny_weights, caplog):
    with caplog.at_level("DEBUG", logger="landvisor"):
        assert load_encoder(make_spec(tiny_weights), RGB).pretrained
    assert "classifier.weight" in caplog.text
    assert "conv_head.weight" in caplog.text


def test_colours_are_found_by_name_in_any_order(tiny_weights):
    image = torch.randn(1, 3, 64, 64)
    straight = read_last(load_encoder(make_spec(tiny_weights), RGB), image)
    for bands in (("B02", "B03", "B04"), ("b", "g", "r"), ("Blue", "Green", "Red")):
        encoder = load_encoder(make_spec(tiny_weights), bands)
        assert torch.allclose(read_last(encoder, image.flip(1)), straight, atol=1e-3)
        assert encoder.mean == (0.406, 0.456, 0.485)


def test_extra_bands_change_nothing_before_training(tiny_weights):
    image = torch.randn(1, 4, 64, 64)
    three = read_last(load_encoder(make_spec(tiny_weights), RGB), image[:, :3])
    four = read_last(load_encoder(make_spec(tiny_weights), (*RGB, "nir")), image)
    first = read_last(load_encoder(make_spec(tiny_weights), ("nir", *RGB)), image.roll(1, 1))
    assert torch.allclose(three, four, atol=1e-3)
    assert torch.allclose(three, first, atol=1e-3)


def test_unnamed_bands_are_taken_in_order_and_said_so():
    slots, notes = match_bands(("band 1", "band 2", "band 3", "band 4"))
    assert slots == (0, 1, 2, None)
    assert "band 1, band 2, band 3" in notes[0]
    assert match_bands(("nir", "red", "green", "blue")) == ((None, 0, 1, 2), ())


def test_one_band_reads_as_a_grey_picture():
    weight = torch.randn(4, 3, 3, 3)
    grey = torch.randn(1, 1, 8, 8)
    conv = torch.nn.functional.conv2d
    expected = conv(grey.repeat(1, 3, 1, 1), weight)
    assert torch.allclose(conv(grey, adapt_first(weight, (None,))), expected, atol=1e-3)
    twice = adapt_first(weight, (None, None))
    assert torch.allclose(conv(grey.repeat(1, 2, 1, 1), twice), expected, atol=1e-3)


def test_statistics_of_the_recipe_win():
    spec = make_spec("none", encoder_mean=(0.5,), encoder_std=(0.1, 0.2, 0.3))
    encoder = load_encoder(spec, ("blue", "green", "red"))
    assert encoder.mean == (0.5, 0.5, 0.5)
    with pytest.raises(ModelError, match="encoder_mean"):
        load_encoder(make_spec("none", encoder_mean=(0.1, 0.2)), RGB)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mobilenetv2_100", {}),
        (
            "mobilenetv2_100_same",
            {
                "encoder_args": {"pad_type": "same"},
                "encoder_mean": (0.5, 0.5, 0.5),
                "encoder_std": (0.5, 0.5, 0.5),
            },
        ),
    ],
)
def test_real_weights_load_and_see_edges(name, options):
    path = REAL / f"{name}.safetensors"
    if not path.exists():
        pytest.skip("the shared weights are not beside this checkout")
    spec = make_spec(path, encoder="mobilenetv2_100", **options)
    encoder = load_encoder(spec, RGB)
    features = read_last(encoder, torch.randn(1, 3, 64, 64))
    assert encoder.pretrained
    assert encoder.mean == options.get("encoder_mean", (0.485, 0.456, 0.406))
    assert np.isfinite(features.numpy()).all()
    assert features.std() > 0.01


def test_weights_of_another_encoder_are_refused(tiny_weights):
    with pytest.raises(ModelError, match=r"lack .* tensors"):
        load_encoder(make_spec(tiny_weights, encoder="resnet18"), RGB)
    with pytest.raises(ModelError, match="of shape"):
        load_encoder(make_spec(tiny_weights, encoder="mobilenetv2_100"), RGB)


def test_a_missing_or_broken_file_is_refused(tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights at all")
    pickle = tmp_path / "weights.pth"
    pickle.write_bytes(b"\x80\x04")
    for path in (tmp_path / "none.safetensors", broken, pickle):
        with pytest.raises(ModelError, match="cannot be read"):
            load_encoder(make_spec(path), RGB)


def test_an_unknown_encoder_names_the_nearest():
    with pytest.raises(ModelError, match="'mobilenetv2_050'"):
        load_encoder(make_spec("none", encoder="mobilenet2_050"), RGB)


def test_arguments_that_the_encoder_lacks_are_refused():
    with pytest.raises(ModelError, match="encoder_args"):
        load_encoder(make_spec("none", encoder_args={"colour": 1}), RGB)


def refuse(*_, **__):
    raise ConnectionError("no network")


def test_without_a_hub_auto_starts_from_scratch_and_says_so(monkeypatch):
    monkeypatch.setattr(encoder_weights, "hf_hub_download", refuse)
    monkeypatch.setattr(encoder_weights, "get_hf_file_metadata", refuse)
    encoder = load_encoder(make_spec("auto"), RGB)
    assert not encoder.pretrained
    assert "from scratch" in encoder.notes[0]
    with pytest.raises(ModelError, match=r"neither in the cache .* \(ConnectionError\)"):
        load_encoder(make_spec("hf-hub:timm/mobilenetv2_050.lamb_in1k"), RGB)


def test_a_hub_that_never_answers_is_left_after_a_moment(monkeypatch):
    import threading

    release = threading.Event()
    monkeypatch.setattr(encoder_weights, "hf_hub_download", refuse)
    monkeypatch.setattr(encoder_weights, "get_hf_file_metadata", lambda *_, **__: release.wait(30))
    monkeypatch.setattr(encoder_weights, "_ANSWER_TIME", 0.1)
    assert not load_encoder(make_spec("auto"), RGB).pretrained
    release.set()


def test_weights_of_the_hub_bring_their_own_statistics(monkeypatch, tiny_weights, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(
        '{"architecture": "mobilenetv2_050", "pretrained_cfg": '
        '{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}}'
    )
    files = {"config.json": config, "model.safetensors": tiny_weights}
    monkeypatch.setattr(encoder_weights, "hf_hub_download", lambda _, name, **__: str(files[name]))
    for choice in ("auto", "lamb_in1k", "hf-hub:timm/any"):
        encoder = load_encoder(make_spec(choice), RGB)
        assert (encoder.mean, encoder.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    with pytest.raises(ModelError, match="not of 'resnet18'"):
        load_encoder(make_spec("hf-hub:timm/any", encoder="resnet18"), RGB)


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(ModelError, match="lamb_in1k"):
        load_encoder(make_spec("ra_in99k"), RGB)
