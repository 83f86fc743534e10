"""What a part of a recipe is, and the parts that decide how labels become places."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

_AREA_TOLERANCE = 0.02  # shares are typed with two digits


class Spec(BaseModel):
    """A frozen part of a recipe; an unknown key and an infinite number are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelSpec(Spec):
    """How labels become places to learn from."""

    background: Annotated[int, Field(ge=0)] = 0
    """Random negatives per scene for presence-only points; 0 draws none."""
    max_per_feature: Count = 100
    """Most places that one polygon or line becomes."""
    max_grown: Count = 1000
    """Most linked or grown pixels per class and scene that are learned from, evenly spaced."""
    class_weights: Literal["none", "inverse", "sqrt_inverse", "median_frequency", "effective"] = (
        "sqrt_inverse"
    )
    """Per-class weights from the counts of labelled places, capped."""
    weight_cap: Positive = 10.0
    """Largest ratio of a class weight to the smallest."""
    area_prior: dict[str, float] = {}
    """Share of the area of every class, by name or id: predictions lean to it; empty is none."""

    @field_validator("area_prior")
    @classmethod
    def _check_area(cls, area: dict[str, float]) -> dict[str, float]:
        total = sum(area.values())
        if area and not (min(area.values()) >= 0 and abs(total - 1) <= _AREA_TOLERANCE):
            raise ValueError(f"shares of the area are 0 or more and sum to 1, not to {total:g}")
        return area


class LinkSpec(Spec):
    """How places of one class that lie close together become more labels."""

    area: Literal["none", "segment", "disk", "hull"] = "none"
    """What is labelled: nothing, the line between two places, discs or hulls of linked places."""
    distance: Positive = 5.0
    """Farthest places that are linked, in pixels."""
    radius: Positive = 2.0
    """With `disk`: how far round a linked place the label reaches, in pixels."""
    tolerance: Annotated[float, Field(ge=0)] = 0.5
    """How far colours may leave those of the places, in robust deviations; 0 looks at none."""
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Confidence of a linked pixel beside that of its places."""


class GrowSpec(Spec):
    """How labels grow from places over the pixels around them."""

    method: Literal["none", "superpixel", "walker", "region", "disc"] = "none"
    """Segments that hold a place, a random walker, growth over like pixels, or plain discs."""
    features: Literal["raw", "bank"] = "raw"
    """With `region`: bands, or the filter bank, for which half the tolerance is about as pure."""
    radius: Positive = 12.0
    """How far from its place a label may grow, in pixels."""
    max_pixels: Count = 400
    """Most pixels that one place may claim; the nearest to it count."""
    tolerance: Positive = 0.2
    """With `region`: how far a pixel may differ from its place, in robust deviations of a band."""
    segment: Count = 25
    """With `superpixel`: pixels of a segment, about."""
    compactness: Positive = 2.0
    """With `superpixel`: robust deviations that count as much as a segment's width."""
    beta: Positive = 100.0
    """With `walker`: how much the square of a difference, in robust deviations, bars the way."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """With `walker`: least probability; a lone place has one half at `radius` on flat ground."""
    weight: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Confidence of a grown pixel beside that of its place."""
