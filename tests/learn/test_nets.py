import pytest
import torch

from landvisor.errors import ModelError
from landvisor.learn.encoders import load_encoder
from landvisor.learn.nets import build_network, upsample
from landvisor.recipe import NETWORKS, NetSpec

TINY = NetSpec(model="unet", encoder="mobilenetv2_050", encoder_weights="none")


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors only lose by threads, most of all where other tests run beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def make_spec(model):
    return TINY.model_copy(update={"model": model})


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


def test_a_unet_never_computes_full_resolution():
    assert build_network(TINY, ("a", "b", "c"), classes=2).stride == 2


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


@pytest.mark.parametrize("model", NETWORKS)
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
