"""How a model gets its temperature: from what it says of places that it has not learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from landvisor.accuracy.temperature import fit_temperature
from landvisor.geo.places import Places
from landvisor.learn.model import Model


def calibrate(model: Model, told: NDArray[np.floating], val: Places) -> Model:
    """Note in a model's card the temperature that serves best at the places of validation.

    Args:
        model: Whatever it has learned from by now.
        told: `[n, class]`: what it, or what it was refitted from, said of places that it had not
            learned from.
        val: These places.
    """
    position = model.card.legend.to_index(val.label)
    known = position >= 0
    found = fit_temperature(
        told[known], position[known], weight=val.weight[known], group=val.group[known]
    )
    return replace(model, card=model.card.model_copy(update={"temperature": round(found, 4)}))
