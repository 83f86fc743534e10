"""What every trained model can do, whatever is inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from landvisor.card import Card
from landvisor.learn.prior import apply_prior


class Predictor(Protocol):
    """The part of a model that turns pixels into class probabilities."""

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows of one size.

        Args:
            data: `[batch, band, row, col]` in the native units and dtype of the scene.
            valid: `[batch, row, col]`; values of invalid pixels must not change the result at
                valid ones beyond what a neutral fill does.

        Returns:
            float32 `[batch, class, row, col]` that sums to one over the active classes, in the
            order of `card.legend.ids`.
        """
        ...

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Return all that must be stored, as named arrays."""
        ...


@dataclass(frozen=True)
class Model:
    """A card and the predictor it describes."""

    card: Card
    predictor: Predictor

    def predict(self, data: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Predict a batch of windows; see `Predictor.predict`."""
        return self.adjust(self.predictor.predict(data, valid), axis=1)

    def adjust(self, probabilities: NDArray[np.float32], *, axis: int) -> NDArray[np.float32]:
        """Move what the predictor says, classes along `axis`, by the card's area prior."""
        return apply_prior(probabilities, self.card.prior_factors, axis=axis)
