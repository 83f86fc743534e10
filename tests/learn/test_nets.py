from copy import deepcopy

import pytest
import torch

from landvisor.architectures import NETWORKS, PLAIN_NETWORKS, decoder_strides
from landvisor.errors import ModelError
from landvisor.learn.encoders import load_encoder
from landvisor.learn.nets import build_network, upsample
from landvisor.recipe import NetSpec

ENCODED = tuple(model for model in NETWORKS if model not in PLAIN_NETWORKS)
WIDTHS = (8, 12, 16, 24, 32)
TINY = NetSpec(model="unet", encoder="mobilenetv2_050", encoder_weights="none")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory):
    """A safetensors file such as users have: the state of a whole timm classifier."""
    import timm
    from safetensors.torch import save_file

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("mobilenetv2_050")
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(model.state_dict(), path)
    return path


def make_spec(model, **choices):
    return TINY.model_copy(update={"model": model, "widths": WIDTHS, **choices})


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", NETWORKS)
def test_every_architecture_reads_any_number_of_bands_at_any_size(model):
    for bands, size in ((1, (64, 64)), (2, (33, 70)), (3, (31, 64)), (4, (20, 9)), (8, (65, 40))):
        names = tuple(f"band {i}" for i in range(bands))
        network = build_network(make_spec(model), names, classes=5).eval()
        with torch.inference_mode():
            logits = network(torch.randn(2, bands, *size))
        cells = [-(-side // network.stride) for side in size]
        assert list(logits.shape) == [2, 5, *cells]
        assert upsample(logits, stride=network.stride, size=size).shape[-2:] == size


@pytest.mark.parametrize(
    ("model", "stride"), [("unet", 2), ("plain_unet", 2), ("fpn", 4), ("one_conv", 1)]
)
def test_strides_are_those_that_are_documented(model, stride):
    assert build_network(make_spec(model), ("a", "b", "c"), classes=2).stride == stride


@pytest.mark.parametrize("model", NETWORKS)
def test_supervised_stages_come_after_the_own_logits_at_their_strides(model):
    strides = decoder_strides(model, widths=WIDTHS)
    spec = make_spec(model, supervised_stages=strides)
    network = build_network(spec, ("a", "b"), classes=3).eval()
    image = draw(2, 2, 70, 33)
    with torch.inference_mode():
        stages = network.forward_all(image)
        assert torch.equal(stages[0].logits, network(image))
    assert [stage.stride for stage in stages] == [network.stride, *strides]
    assert stages[0].size == network.extent(stages[0].logits)
    for logits, stride in stages:
        assert list(logits.shape) == [2, 3, -(-70 // stride), -(-33 // stride)]
    for stage in stages:
        rows, cols = stage.size
        assert 0 <= rows - 70 < stage.stride
        assert 0 <= cols - 33 < stage.stride


@pytest.mark.parametrize("model", [m for m in NETWORKS if m != "one_conv"])
def test_a_stage_is_computed_at_the_stride_that_names_it(model):
    """Its head sees as many cells as it gives logits: none is stretched or cut."""
    strides = decoder_strides(model, widths=WIDTHS)
    network = build_network(make_spec(model, supervised_stages=strides), ("a",), classes=2).eval()
    seen = {}
    for stride, head in network.sides.items():
        head.register_forward_hook(lambda _, inputs, __, s=stride: seen.update({s: inputs[0]}))
    with torch.inference_mode():
        network.forward_all(draw(1, 1, 64, 128))
    assert {int(s): tuple(t.shape[2:]) for s, t in seen.items()} == {
        s: (64 // s, 128 // s) for s in strides
    }


@pytest.mark.parametrize("model", ["unet", "plain_unet"])
def test_side_heads_change_neither_the_start_nor_the_logits_of_a_network(model):
    bare = build_network(make_spec(model), ("a",), classes=3, seed=4)
    sided = build_network(make_spec(model, supervised_stages=(4, 8)), ("a",), classes=3, seed=4)
    extra = set(sided.state_dict()) - set(bare.state_dict())
    assert extra == {f"sides.{s}.{part}" for s in (4, 8) for part in ("weight", "bias")}
    assert all(torch.equal(t, sided.state_dict()[key]) for key, t in bare.state_dict().items())
    assert not any(module._forward_hooks for module in sided.modules())


def test_supervised_stages_teach_what_lies_before_them():
    network = build_network(make_spec("unet", supervised_stages=(16,)), ("a",), classes=2).train()
    network.forward_all(draw(2, 1, 64, 64))[1].logits.square().sum().backward()
    taught = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert any(name.startswith("encoder.") for name in taught)
    assert any(name.startswith("decoder.blocks.0.") for name in taught)
    assert not any(name.startswith(("decoder.blocks.1.", "head.")) for name in taught)


def test_copies_of_a_network_listen_to_their_own_stages():
    network = build_network(make_spec("plain_unet", supervised_stages=(4,)), ("a",), classes=2)
    twin = deepcopy(network).eval()
    with torch.inference_mode():
        before = twin.forward_all(draw(1, 1, 32, 32))[1].logits
        for parameter in network.parameters():
            parameter.zero_()
        assert torch.equal(twin.forward_all(draw(1, 1, 32, 32))[1].logits, before)


@pytest.mark.parametrize("model", NETWORKS)
def test_padding_does_not_change_logits_of_sizes_that_need_none(model):
    network = build_network(make_spec(model), ("a",), classes=3).eval()
    image = torch.randn(1, 1, 64, 96)
    with torch.inference_mode():
        assert network(image).shape[-2:] == (64 // network.stride, 96 // network.stride)


def test_a_state_dict_round_trip_gives_the_same_logits():
    first = build_network(TINY, ("a", "b", "c"), classes=3, seed=1).eval()
    second = build_network(TINY, ("a", "b", "c"), classes=3, seed=2).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.equal(first(image), second(image))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(image), second(image))


def test_equal_seeds_build_equal_networks_and_leave_the_global_generator_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second = (build_network(TINY, ("a",), classes=3, seed=5) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("model", ENCODED)
def test_extra_bands_are_neutral_before_training(model, tiny_weights):
    spec = make_spec(model).model_copy(update={"encoder_weights": str(tiny_weights)})
    image = torch.randn(1, 4, 64, 64)
    three = build_network(spec, ("red", "green", "blue"), classes=3).eval()
    four = build_network(spec, ("red", "green", "blue", "nir"), classes=3).eval()
    with torch.inference_mode():
        assert torch.allclose(three(image[:, :3]), four(image), atol=1e-3)


def test_the_network_holds_the_weights_of_its_encoder():
    encoder = load_encoder(TINY, ("a", "b", "c"), seed=3)
    network = build_network(TINY, ("a", "b", "c"), classes=2, encoder=encoder, seed=9)
    held = network.encoder.model.state_dict()
    assert all(torch.equal(held[k], v) for k, v in encoder.module.state_dict().items())


def test_a_model_that_is_no_network_is_refused():
    with pytest.raises(ModelError, match="no network"):
        build_network(TINY.model_copy(update={"model": "forest"}), ("a",), classes=2)


def test_upsampled_logits_lie_at_the_centres_of_their_pixels():
    logits = torch.arange(4.0)[None, None, None, :].expand(1, 1, 4, 4) * 2 + 0.5
    full = upsample(logits, stride=2, size=(7, 7))
    assert torch.allclose(full[0, 0, 3, 1:6], torch.arange(1.0, 6.0))
