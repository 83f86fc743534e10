"""How far around a pixel a model looks: effective receptive fields, measured by gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landvisor.accuracy.buffer import Sight
from landvisor.geo.filterbank import filter_bank_margin
from landvisor.geo.places import Places
from landvisor.geo.scene import Pixels, Scene
from landvisor.geo.tiling import Window
from landvisor.learn.encoder_features import FrozenEncoder
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model
from landvisor.learn.network_predictor import NetworkPredictor
from landvisor.learn.separate import Joint

SHARE = 0.95
"""Share of a gradient's energy that the effective receptive field holds."""

_WINDOWS = 4  # the profiles of single windows are within a few percent of their mean
_SIDE = 384  # pixels of a window at most

Respond = Callable[[Tensor], list[tuple[Tensor, float]]]
"""Turns images `[1, band, row, col]` into maps `[1, channel, h, w]` and pixels per cell of each."""


def find_sight(model: Model, scenes: Sequence[Scene], places: Places, *, seed: int = 0) -> Sight:
    """Find how far around a pixel a model looks; of several members, the farthest counts.

    A network's distance is its effective receptive field on windows around labelled places. Trees
    have no gradient: what they read has, so it is that of a frozen encoder's features, and the
    whole reach of the filter bank. Values of a pixel alone look nowhere else.

    Args:
        model: As it was fitted.
        scenes: What `places.scene` counts.
        places: Windows are read around some of them.
        seed: Of the choice of windows, and of the directions that gradients are taken in.
    """
    windows = list(_read_windows(scenes, places, side=_SIDE, seed=seed))
    return max((_see(one, windows, seed=seed) for one in _list_parts(model)), key=_distance)


def measure_field(
    respond: Respond,
    images: Sequence[Tensor],
    *,
    share: float = SHARE,
    seed: int = 0,
) -> float:
    """Measure the radius that holds a share of the energy of the centre's gradient.

    The energy at a pixel is the squared derivative of what is at the centre by that pixel, summed
    over bands and channels. It is taken in a random direction of signs over the channels, whose
    expectation is that sum (Hutchinson 1990). Profiles of energy over distance are averaged over
    images, and, where there are several maps, over their channels.

    Args:
        respond: Gives maps whose cells lie `pitch` pixels apart, the first at `pitch / 2 - 0.5`.
        images: Each `[1, band, row, col]`, as `respond` reads it.
        share: From 0 to 1.
        seed: Of the signs.

    Returns:
        The radius in pixels; the smallest pixel distance within which the share lies.

    References:
        Luo et al. 2016, Understanding the effective receptive field in deep convolutional neural
        networks, section 2, arXiv:1701.04128. Hutchinson 1990, A stochastic estimator of the trace
        of the influence matrix, doi:10.1080/03610919008812866.
    """
    generator = torch.Generator().manual_seed(seed)
    profiles = [
        profile for image in images for profile in _trace(respond, image, generator=generator)
    ]
    if not profiles:
        return 0.0
    distance = np.concatenate([profile[0] for profile in profiles])
    energy = np.concatenate([profile[1] for profile in profiles])
    order = np.argsort(distance, kind="stable")
    total = np.cumsum(energy[order])
    # rounding of the sum shall not ask for one more pixel
    reached = int(np.searchsorted(total, share * total[-1] * (1 - 1e-9)))
    return float(distance[order][min(reached, len(order) - 1)])


def _trace(
    respond: Respond, image: Tensor, *, generator: torch.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield of each map the distances from its central cell and energies of channels' number."""
    source = image.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        maps = respond(source)
        for found, pitch in maps:
            cell = found.shape[-2] // 2, found.shape[-1] // 2
            signs = torch.randint(0, 2, (found.shape[1],), generator=generator) * 2.0 - 1
            told = (found[0, :, cell[0], cell[1]].float() * signs.to(found.device)).sum()
            (slope,) = torch.autograd.grad(told, source, retain_graph=True)
            energy = slope[0].double().square().sum(dim=0).cpu().numpy()
            if not energy.sum():  # a dead map says nothing of any pixel
                continue
            centre = [(place + 0.5) * pitch - 0.5 for place in cell]
            rows, cols = np.indices(energy.shape)
            distance = np.hypot(rows - centre[0], cols - centre[1])
            weight = found.shape[1] / energy.sum()
            yield distance.ravel(), energy.ravel() * weight


def _list_parts(model: Model) -> Iterator[Model]:
    """Yield what a model is made of in the end: itself, where it asks no others."""
    if isinstance(model.predictor, Joint):
        for member in model.predictor.members:
            yield from _list_parts(member)
    else:
        yield model


def _distance(sight: Sight) -> float:
    return sight.distance


def _see(model: Model, windows: Sequence[Pixels], *, seed: int) -> Sight:
    predictor = model.predictor
    if isinstance(predictor, NetworkPredictor):
        return _see_network(predictor, windows, seed=seed)
    if isinstance(predictor, InstantPredictor):
        return _see_features(predictor, windows, seed=seed)
    return Sight(0.0, f"unknown for a model of kind {model.card.kind}")


def _see_network(predictor: NetworkPredictor, windows: Sequence[Pixels], *, seed: int) -> Sight:
    network = predictor.network
    device = next(network.parameters()).device

    def respond(image: Tensor) -> list[tuple[Tensor, float]]:
        return [(network(image), float(network.stride))]

    images = [torch.from_numpy(predictor.scaling.apply(*pixels_batch(w))) for w in windows]
    radius = measure_field(respond, [image.to(device) for image in images], seed=seed)
    return Sight(radius, "effective receptive field of the network")


def _see_features(predictor: InstantPredictor, windows: Sequence[Pixels], *, seed: int) -> Sight:
    reader = predictor.reader
    reach = float(filter_bank_margin(reader.sigmas)) if reader.sigmas else 0.0
    plain = Sight(reach, "reach of the filter bank" if reach else "values of single pixels")
    if reader.encoder is None:
        return plain
    field = _measure_encoder(reader.encoder, windows, seed=seed)
    return max(plain, Sight(field, "effective receptive field of the encoder"), key=_distance)


def _measure_encoder(encoder: FrozenEncoder, windows: Sequence[Pixels], *, seed: int) -> float:
    def respond(image: Tensor) -> list[tuple[Tensor, float]]:
        return [
            (found, pitch) for zoom in encoder.zooms for found, pitch in encoder.trace(image, zoom)
        ]

    images = [torch.from_numpy(encoder.scaling.apply(*pixels_batch(w))) for w in windows]
    return measure_field(respond, images, seed=seed)


def pixels_batch(pixels: Pixels) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a window as a batch of one: `[1, band, row, col]` and `[1, row, col]`."""
    return pixels.data[None], pixels.valid[None]


def _read_windows(
    scenes: Sequence[Scene], places: Places, *, side: int, seed: int
) -> Iterator[Pixels]:
    """Read windows around labelled places, moved inwards at the border of their scene."""
    chosen = np.random.default_rng(seed).permutation(len(places))[:_WINDOWS]
    for scene, (row, col) in zip(places.scene[chosen], places.coords[chosen], strict=True):
        shape = scenes[scene].shape
        size = min(side, shape[0]), min(side, shape[1])
        first = [
            int(np.clip(round(place - length / 2), 0, limit - length))
            for place, length, limit in zip((row, col), size, shape, strict=True)
        ]
        yield scenes[scene].read(Window(first[0], first[1], *size))
