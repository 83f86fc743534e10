"""The part of a recipe that decides how the stated accuracy is estimated."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from landvisor.label_specs import Spec


class AssessSpec(Spec):
    """How the stated accuracy is estimated."""

    folds: Literal["auto"] | Annotated[int, Field(ge=0)] = "auto"
    """Outer folds, used for no choice at all: `auto` is 5, or one per scene or group; 0 is none."""
    hold_out: Literal["auto", "blocks", "scenes", "groups", "random"] = "auto"
    """What is held out as one; `auto` takes scene groups, many scenes, or blocks within scenes."""
    buffer: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    """Pixels between held-out and training places; `auto` measures labels and model."""
    bootstrap: Annotated[int, Field(ge=0)] = 1000
    """Resamples of blocks for the interval."""
