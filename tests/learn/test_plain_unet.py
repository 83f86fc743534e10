"""A plain U-Net's parts do what the papers say, and learn from few points."""

import numpy as np
import pytest
import torch
from torch import nn

from landvisor.card import Card, card_classes
from landvisor.errors import RecipeError
from landvisor.geo.legend import legend_from_ids
from landvisor.geo.radiometry import measure_radiometry
from landvisor.geo.scene import scene_from_array
from landvisor.learn.device import place_network, run_network, run_stages
from landvisor.learn.losses import partial_focal, sample_logits
from landvisor.learn.nets import build_network, start_encoder
from landvisor.learn.network_predictor import NetworkPredictor, make_predictor
from landvisor.learn.plain_unet import AttentionGate, PlainDecoder, PlainEncoder
from landvisor.learn.scaling import Scaling, make_scaling
from landvisor.recipe import NetSpec, Recipe

WIDTHS = (4, 6, 8, 10)
LEARNING = (16, 32, 64, 128)


pytestmark = pytest.mark.usefixtures("one_thread")


def make_spec(**choices):
    return NetSpec(model="plain_unet", **{"widths": WIDTHS, **choices})


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_network(bands=2, classes=3, seed=0, **choices):
    names = tuple(f"band {i}" for i in range(bands))
    return build_network(make_spec(**choices), names, classes=classes, seed=seed)


def test_the_encoder_gives_the_chosen_widths_at_halved_sizes():
    encoder = PlainEncoder(3, widths=WIDTHS, norm="batch", dropout=0)
    shapes = [tuple(f.shape[1:]) for f in encoder(draw(2, 3, 32, 48))]
    assert shapes == [(4, 32, 48), (6, 16, 24), (8, 8, 12), (10, 4, 6)]


def test_the_decoder_comes_back_to_stride_2():
    encoder = PlainEncoder(1, widths=WIDTHS, norm="batch", dropout=0)
    decoder = PlainDecoder(WIDTHS, norm="batch", gated=False)
    assert decoder(encoder(draw(2, 1, 32, 48))).shape == (2, 6, 16, 24)


@pytest.mark.parametrize("widths", [(4, 5, 6), (3, 5, 7, 11, 13, 17)])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_any_widths_train_on_one_chip_of_32_pixels(widths, norm):
    network = make_network(widths=widths, norm=norm).train()
    assert network(draw(1, 2, 32, 32)).isfinite().all()


def test_every_width_and_gate_is_used():
    network = make_network(gated=True, dropout=0.1, supervised_stages=(4,)).train()
    sum(stage.logits.square().sum() for stage in network.forward_all(draw(2, 2, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_logits_see_each_corner_of_their_surroundings_alike():
    """Down and up again, a stage must lie on the pixels that it came from."""
    network = make_network(bands=1).eval()
    for parameter in network.parameters():
        if parameter.ndim == 4:
            nn.init.constant_(parameter, 0.01)
    image = torch.zeros(1, 1, 96, 96)
    image[..., 47:49, 47:49] = 1
    with torch.inference_mode():
        logits = network(image)
    assert not torch.equal(logits, torch.full_like(logits, float(logits[0, 0, 0, 0])))
    for axis in (2, 3):
        assert torch.allclose(logits, logits.flip(axis), atol=1e-6)


def test_group_norm_treats_images_alone_and_batch_norm_together():
    first, second = draw(1, 2, 32, 32), draw(1, 2, 32, 32, seed=1) * 5
    for norm, alone in (("group", True), ("batch", False)):
        network = make_network(norm=norm).train()
        together = network(torch.cat([first, second]))[:1]
        assert torch.allclose(network(first), together, atol=1e-4) == alone


def test_dropout_acts_in_training_only():
    network, plain = make_network(dropout=0.5), make_network()
    image = draw(4, 2, 64, 64)
    network.eval(), plain.eval()
    assert torch.equal(network(image), plain(image))
    network.encoder.dropout.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, second = network(image), network(image)
    assert not torch.allclose(first, second)


def test_dropout_leaves_out_whole_channels_of_the_bottleneck_only():
    encoder = make_network(dropout=0.5).eval().encoder
    image = draw(2, 2, 64, 64)
    bare = encoder(image)
    encoder.dropout.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        *fine, last = encoder(image)
    assert all(torch.equal(a, b) for a, b in zip(fine, bare[:-1], strict=True))
    gone = (last == 0).all(dim=(2, 3))
    assert 0 < gone.sum() < gone.numel()
    kept = ~gone[..., None, None].expand_as(last)
    assert torch.allclose(last[kept], 2 * bare[-1][kept])


def test_a_gate_gives_shares_and_follows_the_coarser_stage():
    gate = AttentionGate(4, 6)
    skip, coarse = 10 * draw(2, 4, 16, 16), 10 * draw(2, 6, 8, 8, seed=1)
    shares = gate.shares(skip, coarse)
    assert shares.shape == (2, 1, 16, 16)
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert shares.std() > 0.01
    assert torch.allclose(gate(skip, coarse), skip * shares)
    assert not torch.allclose(gate.shares(skip, -coarse), shares)


def test_a_gate_worked_by_hand():
    gate = AttentionGate(2, 1)
    with torch.no_grad():
        for parameter in gate.parameters():
            parameter.fill_(0.5)
    skip, coarse = torch.ones(1, 2, 2, 2), torch.full((1, 1, 1, 1), 2.0)
    # eight halves of the skip, the coarse one halved and its bias; halved again, and a bias
    expected = torch.sigmoid(torch.tensor(0.5 * (4 + 1 + 0.5) + 0.5))
    assert torch.allclose(gate.shares(skip, coarse), expected.expand(1, 1, 2, 2))


def test_a_shut_gate_hides_its_skip():
    network = make_network(gated=True).eval()
    image = draw(1, 2, 32, 32)
    for block in network.decoder.blocks:
        nn.init.zeros_(block.gate.score.weight)
        nn.init.constant_(block.gate.score.bias, -100)
    features = network.encoder(image)
    other = [*(draw(*f.shape, seed=3) for f in features[:-1]), features[-1]]
    assert torch.allclose(network.decoder(features), network.decoder(other), atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_its_input_has_about_unit_variance_whatever_the_imagery_holds(dtype):
    pixels = np.random.default_rng(0).normal(100, 6, (1, 128, 128)).astype(dtype)
    encoder = start_encoder(make_spec(), ("grey",))
    scaling = make_scaling(
        measure_radiometry([scene_from_array(pixels)]),
        dtype=dtype if encoder.picture_range else None,
        mean=encoder.mean,
        std=encoder.std,
    )
    scaled = scaling.apply(pixels, np.ones((128, 128), dtype=bool))
    assert abs(scaled.mean()) < 0.1
    assert scaled.std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    "spec",
    [
        make_spec(norm="group", gated=True, dropout=0.3, supervised_stages=(4,)),
        NetSpec(model="one_conv"),
        NetSpec(model="unet", encoder="mobilenetv2_050", supervised_stages=(4, 16)),
    ],
)
def test_a_stored_network_predicts_the_same_and_keeps_no_training_heads(spec):
    bare = spec.model_copy(update={"encoder_weights": "none"})
    network = build_network(bare, ("grey",), classes=2, seed=3)
    card = Card(
        kind="network",
        classes=card_classes(legend_from_ids((1, 2))),
        bands=("grey",),
        dtype="uint8",
        mean=(100.0,),
        std=(6.0,),
        input_mean=(100.0,),
        input_std=(6.0,),
        recipe=Recipe(net=spec),
    )
    first = make_predictor(network, Scaling((100.0,), (6.0,)), precision="auto")
    tensors = first.tensors()
    assert not any(key.startswith("sides") for key in tensors)
    again = NetworkPredictor.from_tensors(card, tensors)
    data = np.random.default_rng(0).integers(80, 120, (1, 1, 45, 40)).astype(np.uint8)
    valid = np.ones((1, 45, 40), dtype=bool)
    assert np.array_equal(first.predict(data, valid), again.predict(data, valid))


def test_stages_run_on_the_device_and_in_the_precision_of_the_network():
    network = place_network(make_network(supervised_stages=(4,)).eval(), torch.device("cpu"))
    image = draw(1, 2, 32, 32)
    with torch.inference_mode():
        plain, low = (run_stages(network, image, bf16=bf16) for bf16 in (False, True))
        assert torch.equal(plain[0].logits, run_network(network, image, bf16=False))
    assert {stage.logits.dtype for stage in plain} == {torch.float32}
    assert {stage.logits.dtype for stage in low} == {torch.bfloat16}
    assert [stage.stride for stage in low] == [2, 4]


def test_equal_seeds_build_equal_encoders_and_others_do_not():
    names = ("a",)
    first, second, third = (
        start_encoder(make_spec(), names, seed=seed).module.state_dict() for seed in (5, 5, 6)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["levels.0.0.weight"], third["levels.0.0.weight"])


def test_one_convolution_sees_the_neighbours_and_no_more():
    network = build_network(NetSpec(model="one_conv"), ("a", "b"), classes=3)
    assert sum(parameter.numel() for parameter in network.parameters()) == 3 * (2 * 9 + 1)
    image = torch.zeros(1, 2, 9, 7)
    before = network(image)
    image[..., 4, 3] = 1
    changed = (network(image) != before).any(dim=1)[0]
    assert before.shape == (1, 3, 9, 7)
    assert changed[3:6, 2:5].all()
    assert changed.sum() == 9


@pytest.mark.parametrize(
    ("spec", "steps", "lr"),
    [
        (make_spec(widths=LEARNING), 10, 0.005),
        (make_spec(widths=LEARNING, norm="group", gated=True, supervised_stages=(4,)), 10, 0.005),
        (NetSpec(model="one_conv"), 60, 0.02),
    ],
)
def test_ten_points_teach_a_picture_of_two_colours(spec, steps, lr):
    truth = torch.zeros(48, 48, dtype=torch.long)
    truth[12:36, 20:] = 1
    image = (2.0 * truth - 1 + 0.3 * draw(48, 48))[None, None]
    generator = torch.Generator().manual_seed(1)
    of_class = [torch.nonzero(truth == label) for label in (0, 1)]
    picked = [c[torch.randperm(len(c), generator=generator)[:5]] for c in of_class]
    coords = torch.cat(picked)
    labels, owner = truth[coords[:, 0], coords[:, 1]], torch.zeros(10, dtype=torch.long)
    network = build_network(spec, ("a",), classes=2).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        losses = [
            partial_focal(sample_logits(s.logits, coords, owner, size=s.size), labels, gamma=0)
            for s in network.forward_all(image)
        ]
        sum(losses).backward()
        optimiser.step()
    rows, cols = torch.meshgrid(torch.arange(48), torch.arange(48), indexing="ij")
    places = torch.stack([rows.flatten(), cols.flatten()], dim=1)
    with torch.inference_mode():
        logits = network(image)
        everywhere = torch.zeros(len(places), dtype=torch.long)
        found = sample_logits(logits, places, everywhere, size=network.extent(logits)).argmax(1)
    right = (found == truth.flatten()).float().mean()
    assert right > 0.87  # one class everywhere is right at 0.71


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "plain_unet", "encoder_weights": "w.safetensors"}, "no pretrained encoder"),
        ({"model": "one_conv", "encoder_weights": "hf-hub:a/b"}, "no pretrained encoder"),
        ({"model": "plain_unet", "encoder_mean": (0.5,)}, "no pretrained encoder"),
        ({"model": "plain_unet", "encoder_args": {"pad_type": "same"}}, "no pretrained encoder"),
        ({"model": "unet", "gated": True}, "unet has no such part"),
        ({"model": "one_conv", "dropout": 0.1}, "one_conv has no such part"),
        ({"model": "bank", "norm": "group"}, "bank has no such part"),
        ({"model": "fpn", "widths": (8, 16, 32)}, "fpn has no such part"),
        ({"model": "plain_unet", "widths": (8, 16)}, "at least 3"),
        ({"model": "plain_unet", "widths": (8, 16, 0)}, "greater than or equal to 1"),
        ({"model": "plain_unet", "dropout": 1.0}, "less than 1"),
        ({"model": "plain_unet", "supervised_stages": (16,)}, "strides 4, 8"),
        ({"model": "plain_unet", "widths": (8, 16, 32), "supervised_stages": (4,)}, "no decoder"),
        ({"model": "unet", "supervised_stages": (2,)}, "strides 4, 8, 16"),
        ({"model": "one_conv", "supervised_stages": (4,)}, "no decoder stage"),
        ({"model": "instant", "supervised_stages": (4,)}, "no decoder stage"),
    ],
)
def test_a_choice_that_a_model_cannot_follow_is_refused_in_one_line(values, said):
    with pytest.raises(RecipeError, match=said) as caught:
        Recipe().with_values({f"net.{key}": value for key, value in values.items()})
    assert "\n" not in str(caught.value)
    assert "recipe key 'net." in str(caught.value)


def test_choices_that_say_nothing_new_are_accepted():
    recipe = Recipe().with_values({"net.model": "plain_unet", "net.encoder_weights": "none"})
    again = recipe.with_values({"net.model": "unet"})
    assert again.net.encoder_weights == "none"
    stages = Recipe().with_values({"net.model": "unet", "net.supervised_stages": [8, 4, 8]})
    assert stages.net.supervised_stages == (4, 8)
