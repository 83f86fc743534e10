"""What a trained network says of pixels, and how it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from landvisor.card import Card
from landvisor.errors import ModelError
from landvisor.learn.checkpoint import copy_state
from landvisor.learn.device import find_device, place_network, uses_bf16
from landvisor.learn.engines import Engine, TorchEngine
from landvisor.learn.losses import sample_logits
from landvisor.learn.nets import SIDES, Network, build_network, upsample
from landvisor.learn.scaling import Scaling, scaling_of_card
from landvisor.learn.shares import spread_shares


@dataclass(frozen=True)
class NetworkPredictor:
    """A trained network with the scaling of its input.

    Attributes:
        network: In evaluation mode, on its device.
        scaling: From native units to what it reads.
        engine: What computes the network.
    """

    network: Network
    scaling: Scaling
    engine: Engine

    @classmethod
    def from_tensors(cls, card: Card, tensors: dict[str, NDArray[Any]]) -> NetworkPredictor:
        """Rebuild a predictor from a model file; needs neither a hub nor encoder weights.

        Raises:
            ModelError: If the tensors are not those of the network that the card describes.
        """
        bare = {"encoder_weights": "none", "encoder_mean": None, "encoder_std": None}
        spec = card.recipe.net.model_copy(update={**bare, "supervised_stages": ()})
        network = build_network(spec, card.bands, classes=len(card.legend.ids))
        wanted = [key for key in network.state_dict() if _is_used(key)]
        if set(wanted) != set(tensors):
            odd = sorted(set(wanted) ^ set(tensors))[0]
            raise ModelError(f"the model's tensors do not fit its card ({odd!r}); fit it again")
        state = {key: torch.from_numpy(np.array(tensors[key])) for key in wanted}
        try:
            network.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise ModelError("the model's tensors have other shapes; fit it again") from error
        return make_predictor(network, scaling_of_card(card), precision=card.recipe.fit.precision)

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows; see `landvisor.learn.model.Predictor`."""
        with torch.inference_mode():
            logits, size = self._run(data, valid).float(), (valid.shape[1], valid.shape[2])
            if logits.device.type == "cpu":
                return spread_shares(logits.numpy(), stride=self.network.stride, size=size)
            full = upsample(logits, stride=self.network.stride, size=size)
            return np.asarray(torch.softmax(full, dim=1).cpu().numpy())

    def predict_at(
        self,
        data: NDArray[Any],
        valid: NDArray[np.bool_],
        *,
        coords: NDArray[np.float64],
        batch: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Predict at places only, without computing what lies between them.

        Args:
            data: `[b, band, row, col]` in native units.
            valid: `[b, row, col]`.
            coords: `[n, 2]`, (row, col) in pixels of a window.
            batch: `[n]`, the window of each place.

        Returns:
            `[n, class]`; at whole pixels what `predict` gives there.
        """
        with torch.inference_mode():
            logits = self._run(data, valid)
            size = self.network.extent(logits)
            places = torch.from_numpy(coords).float().to(logits.device)
            owner = torch.from_numpy(batch).to(logits.device)
            chosen = sample_logits(logits, places, owner, size=size)
            return np.asarray(torch.softmax(chosen, dim=1).cpu().numpy())

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return the network's weights by name, those that predict."""
        state = copy_state(self.network)
        return {key: tensor.numpy() for key, tensor in state.items() if _is_used(key)}

    def _run(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> Tensor:
        image = torch.from_numpy(self.scaling.apply(data, valid))
        (logits,) = self.engine.run(self.network.pad(image))
        return self.network.crop(logits, image)


def make_predictor(network: Network, scaling: Scaling, *, precision: str) -> NetworkPredictor:
    """Put a trained network on the device that there is, ready to be asked."""
    device = find_device()
    placed = place_network(network, device).eval()
    engine = TorchEngine(placed, bf16=uses_bf16(precision, device))
    return NetworkPredictor(placed, scaling, engine)


def _is_used(key: str) -> bool:
    """Tell weights that predict from side heads and from how many batches a norm has seen."""
    return not (key.startswith(f"{SIDES}.") or key.endswith("num_batches_tracked"))
