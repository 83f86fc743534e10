"""A model as one graph: native pixel values in, class probabilities of every pixel out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from landvisor.errors import ModelError
from landvisor.learn.ensemble import Ensemble, list_members, list_names
from landvisor.learn.model import Model
from landvisor.learn.nets import Network, upsample
from landvisor.learn.network_predictor import NetworkPredictor
from landvisor.learn.scaling import LIMIT
from landvisor.learn.separate import Separated


class NetworkGraph(nn.Module):
    """A network with the scaling before it and the area prior after it.

    Args:
        model: Its predictor is a network.
        unit: What an input of 1 means in native units.
    """

    mean: Tensor
    factor: Tensor
    prior: Tensor

    def __init__(self, model: Model, *, unit: float) -> None:
        super().__init__()
        assert isinstance(model.predictor, NetworkPredictor), "find_networks sees to it"
        self.network: Network = model.predictor.network
        scaling = model.predictor.scaling
        factors = model.card.prior_factors or (1.0,) * len(model.card.legend.ids)
        for name, values in (
            ("mean", [value / unit for value in scaling.mean]),
            ("factor", [unit / value for value in scaling.std]),
            ("prior", factors),
        ):
            self.register_buffer(name, torch.tensor(values).reshape(1, -1, 1, 1))
        self._moves = bool(model.card.prior_factors)

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities `[b, class, row, col]` of an image in native units / `unit`.

        A pixel with NaN in a band is no data: the network sees there what it sees for one.
        """
        known = ~torch.isnan(image).any(dim=1, keepdim=True)
        scaled = ((image - self.mean) * self.factor).clamp(-LIMIT, LIMIT)
        neutral = torch.where(known, scaled, torch.zeros_like(scaled))
        padded = self.network.core(_pad(neutral, self.network.multiple))
        logits = self.network.crop(padded, image)
        size = (image.shape[2], image.shape[3])
        likely = torch.softmax(upsample(logits, stride=self.network.stride, size=size), dim=1)
        if not self._moves:
            return likely
        moved = likely * self.prior
        total = moved.sum(dim=1, keepdim=True)
        return torch.where(total > 0, moved / total, likely)


class MeanGraph(nn.Module):
    """The weighted mean of networks."""

    def __init__(self, members: list[tuple[float, Model]], *, unit: float) -> None:
        super().__init__()
        self.members = nn.ModuleList(NetworkGraph(model, unit=unit) for _, model in members)
        self._weights = [weight for weight, _ in members]

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities `[b, class, row, col]`; see `NetworkGraph`."""
        parts = zip(self.members, self._weights, strict=True)
        seen = [member(image) * weight for member, weight in parts]
        return torch.stack(seen).sum(dim=0) if len(seen) > 1 else self.members[0](image)


def find_networks(model: Model, *, network_only: bool = False) -> list[tuple[float, Model]]:
    """List the networks of a model with their weights, which sum to one.

    Args:
        model: A network, or an ensemble, also of ensembles.
        network_only: Leave out members that are not networks.

    Raises:
        ModelError: If a member is not a network, none is, or one is two that share the classes.
    """
    if any(isinstance(member.predictor, Separated) for member in _list_all(model)):
        raise ModelError(
            "the model has a network of its own for one class (net.separate), which is not "
            "exported yet; fit one without net.separate, or predict with landvisor"
        )
    found, others = _split(model)
    if not found:
        raise ModelError(
            f"the model is {_describe(model)}, whose trees fit no graph; export a network"
        )
    if others and not network_only:
        raise ModelError(
            f"member {others[0]} cannot be exported, since trees fit no graph; add --network-only "
            "to export the rest without it"
        )
    total = sum(weight for weight, _ in found)
    return [(weight / total, member) for weight, member in found]


def _list_all(model: Model) -> Iterator[Model]:
    """List a model and, of an ensemble, all members and their members."""
    yield model
    if isinstance(model.predictor, Ensemble):
        for member in model.predictor.members:
            yield from _list_all(member)


def _split(model: Model) -> tuple[list[tuple[float, Model]], list[str]]:
    """Part the members of a model into networks and the names of all others."""
    if isinstance(model.predictor, NetworkPredictor):
        return [(1.0, model)], []
    if not isinstance(model.predictor, Ensemble):
        return [], [_describe(model)]
    networks, others = [], []
    members = zip(list_members(model), model.predictor.weights, list_names(model), strict=True)
    for member, share, name in members:
        inner, rest = _split(member)
        networks += [(share * weight, network) for weight, network in inner]
        others += [f"{name!r} ({what})" for what in rest]
    return networks, others


def _describe(model: Model) -> str:
    return f"an instant model, {model.card.recipe.net.model!r}"


def _pad(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column, in operations whose sizes a graph can leave open."""
    for axis in (2, 3):
        length = image.shape[axis]
        full = (length + multiple - 1) // multiple * multiple
        places = torch.arange(full, device=image.device).clamp(max=length - 1)
        image = image.index_select(axis, places)
    return image
