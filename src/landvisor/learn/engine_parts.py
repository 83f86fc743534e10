"""Which parts of a model an engine can compute: its networks and its frozen encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from landvisor.learn.encoder_features import MULTIPLE, FrozenEncoder
from landvisor.learn.engines import Engine, TorchEngine
from landvisor.learn.instant import InstantPredictor
from landvisor.learn.model import Model
from landvisor.learn.nets import Network
from landvisor.learn.network_predictor import NetworkPredictor
from landvisor.learn.separate import Joint


class Core(nn.Module):
    """A network without what depends on an image's size: padding and cropping."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Compute logits of a padded image."""
        return self.network.core(image)


@dataclass(frozen=True)
class Part:
    """A network or an encoder of a model.

    Attributes:
        name: Where it is, such as `network` or, in a model of several, `1.encoder`.
        module: What an engine computes.
        bands: Of the images that it reads.
        multiple: Their rows and columns are multiples of it.
        engine: What computes it now.
        exact: Trees read its maps, and one of their thresholds turns a rounding into a class.
    """

    name: str
    module: nn.Module
    bands: int
    multiple: int
    engine: Engine
    exact: bool = False

    def example(self) -> Tensor:
        """Return an image that the module can read; two of a batch, and not square."""
        return torch.zeros(2, self.bands, 2 * self.multiple, 3 * self.multiple)


def list_parts(model: Model) -> tuple[Part, ...]:
    """List the parts of a model in order; models of trees on bare pixels have none."""
    found: list[Part] = []

    def note(part: Part) -> Engine:
        found.append(part)
        return part.engine

    change_engines(model, note)
    return tuple(found)


def has_trees(model: Model) -> bool:
    """Tell whether a model, or one that it asks, is more than networks."""
    if isinstance(model.predictor, Joint):
        return any(has_trees(member) for member in model.predictor.members)
    return not isinstance(model.predictor, NetworkPredictor)


def change_engines(model: Model, choose: Callable[[Part], Engine], *, prefix: str = "") -> Model:
    """Return a model whose parts other engines compute.

    Args:
        model: Stays as it is.
        choose: Gives the engine of each part.
        prefix: Of the names of parts.
    """
    predictor = model.predictor
    if isinstance(predictor, Joint):
        members = (
            change_engines(member, choose, prefix=f"{prefix}{number}.")
            for number, member in enumerate(predictor.members)
        )
        return replace(model, predictor=predictor.with_members(members))
    if isinstance(predictor, NetworkPredictor):
        engine = choose(_of_network(predictor, prefix))
        return replace(model, predictor=replace(predictor, engine=engine))
    if isinstance(predictor, InstantPredictor) and predictor.reader.encoder is not None:
        encoder = predictor.reader.encoder
        changed = replace(encoder, engine=choose(_of_encoder(encoder, prefix)))
        reader = replace(predictor.reader, encoder=changed)
        return replace(model, predictor=replace(predictor, reader=reader))
    return model


def _of_network(predictor: NetworkPredictor, prefix: str) -> Part:
    return Part(
        f"{prefix}network",
        Core(predictor.network).eval(),
        bands=len(predictor.scaling.mean),
        multiple=predictor.network.multiple,
        engine=predictor.engine,
    )


def _of_encoder(encoder: FrozenEncoder, prefix: str) -> Part:
    return Part(
        f"{prefix}encoder",
        encoder.module,
        bands=len(encoder.scaling.mean),
        multiple=MULTIPLE,
        engine=encoder.engine or TorchEngine(encoder.module, bf16=False),
        exact=True,
    )
