"""What a study file may say: frozen parts with their defaults; an unknown key is an error."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from landvisor.label_specs import Count, LinkSpec, Share, Spec

Design = Literal["full", "one-at-a-time", "paired"]
Test = Literal["seeds", "images", "seeds_and_images", "mixed"]
Level = str
Settings = dict[str, Any]
LOSS = "loss"
MASKS = "masks"


class Subset(Spec):
    """How many images of each split are used, evenly spaced in its order; 0 uses all."""

    train: Annotated[int, Field(ge=0)] = 0
    val: Annotated[int, Field(ge=0)] = 0
    test: Annotated[int, Field(ge=0)] = 0


class DataSpec(Spec):
    """Which images are learned from, chosen on and scored, and at which size."""

    collection: str = ""
    """A `collection.csv` or its folder, relative to the base folder; or `arrays`."""
    arrays: tuple[str, ...] = ()
    """`.npz` or `.npy` files, imported as `landvisor import` does, instead of a collection."""
    splits: tuple[str, ...] = ()
    """With `arrays`: the split of each file."""
    val_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """With `arrays`: share of the training images that becomes `val`, by whole groups."""
    legend: str = ""
    """A `legend.toml`; the one beside the data by default."""
    train: str = "train"
    val: str = "val"
    test: str = "test"
    subset: Subset = Subset()
    size: Annotated[tuple[Count, ...], Field(max_length=2)] = ()
    """Rows and columns that images are averaged to, masks by majority; empty leaves them."""
    nodata: float | None = None
    nodata_tolerance: Annotated[float, Field(ge=0)] = 0.0
    ignore: tuple[str, ...] | None = None
    """Classes that are not learned, by name, whatever the legend says; None follows the legend."""
    clean: tuple[str, ...] = ()
    """Detectors of `landvisor clean`; what they find is not learned from, but still scored."""
    test_gain: Annotated[float, Field(gt=0)] = 1.0
    """Factor of all values of the test images: a change of light that no image of train has."""
    test_offset: float = 0.0
    """Added to all values of the test images after `test_gain`, in their own units."""

    @field_validator("size")
    @classmethod
    def _check_size(cls, size: tuple[int, ...]) -> tuple[int, ...]:
        if len(size) == 1:
            raise ValueError("give rows and columns, as in [256, 256]")
        return size


class PointsSpec(Spec):
    """Which labels are learned from: points drawn from the masks once per seed, or the masks."""

    strategy: Literal[
        "random", "per_class", "per_object", "grid", "clustered", "budget", "masks"
    ] = "per_class"  # fmt: skip
    """As in `landvisor sample`; `masks` learns from every labelled pixel."""
    n: Count = 10
    """Points per image, per class and image (`per_class`), or step in pixels (`grid`)."""
    per: Literal["image", "split"] = "image"
    """`split`, with `per_class`: n counts the points of a class on all training images together."""
    rim: Annotated[int, Field(ge=0)] = 0
    """Pixels around no-data where no point is drawn."""
    placement: Literal["random", "interior"] = "random"
    min_area: Count = 1
    cluster_size: Count = 5
    radius: Annotated[float, Field(ge=0)] = 20.0
    spread: Literal["equal", "proportional", "sqrt"] = "equal"
    jitter: Annotated[float, Field(ge=0)] = 0.0
    noise: Share = 0.0

    @model_validator(mode="after")
    def _check_per(self) -> PointsSpec:
        if self.per == "split" and self.strategy not in ("per_class", MASKS):
            raise ValueError(f"per 'split' goes with strategy 'per_class', not {self.strategy!r}")
        return self


class ScoringSpec(Spec):
    """What predictions are held against, and which of it counts."""

    reference: Literal["masks", "points", "linked"] = "masks"
    """All labelled pixels, the pixels of drawn points, or what linking these points labels."""
    points: PointsSpec = PointsSpec()
    """With `points` and `linked`: how they are drawn, alike for all runs, from seed 0."""
    link: LinkSpec = LinkSpec(area="segment")
    """With `linked`: how they are linked."""
    classes: tuple[str, ...] = ()
    """Classes that enter means, by name; those that the legend does not ignore by default."""
    count_others: bool = False
    """Pixels of all other labelled classes count as errors of the class predicted there."""
    per_image: bool = False
    """Rates are computed for each image and averaged, instead of from pooled counts."""
    absent: Literal["left_out", "one", "zero"] = "left_out"
    """Rate of a class that an image, or all of them, neither has nor is given."""
    border: Annotated[int, Field(ge=0)] = 0
    """Pixels this close to a class border of the mask are left out."""


class Contrast(Spec):
    """What is compared: two settings, how a trend in one factor goes, or an interaction."""

    this: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    """Level by factor; factors that are not named are averaged over, all levels alike."""
    than: dict[str, Any] = {}  # noqa: RUF012
    """What `this` is held against."""
    interaction: bool = False
    """With two factors in both: how far the effect of the first differs between the second's."""
    trend: str = ""
    """A factor with numbers as levels: change of the metric from its first level to its last."""
    scale: Literal["linear", "log", "rank"] = "linear"
    """With `trend`: along the level itself, its logarithm, or its place in the list."""
    where: dict[str, Any] = {}  # noqa: RUF012
    """With `trend`: levels of other factors that it is looked at for."""


class HypothesisSpec(Spec):
    """A claim that is fixed before the first run, and the rule that judges it."""

    name: str
    text: str
    metric: str = "mean_iou"
    scoring: str = "standard"
    split: Literal["val", "test"] = "test"
    contrast: Contrast
    direction: Literal["greater", "less", "different"] = "greater"
    smallest: Annotated[float, Field(ge=0)]
    """Smallest effect of interest, in units of the metric."""
    rule: Literal["exceeds_zero", "exceeds_smallest"] = "exceeds_zero"
    """What the interval must exclude to support it; see the manual."""
    test: Test = "seeds_and_images"


class AnalysisSpec(Spec):
    """What is reported besides the hypotheses."""

    metrics: Annotated[tuple[str, ...], Field(min_length=1)] = ("mean_iou", "oa")
    """The first is the one that effects are told of."""
    scoring: str = "standard"
    split: Literal["val", "test"] = "test"
    test: Test = "seeds_and_images"
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    correction: Literal["holm", "none"] = "holm"
    resamples: Annotated[int, Field(ge=200)] = 2000
    """Draws of images, for tests that look at them."""
    loss_ranking: Literal["none", "describe"] = "none"
    """Say whether the final training loss ranks the arms as the metric does; no more than that."""


class KeepSpec(Spec):
    """What of a run is kept beside the database."""

    models: bool = False
    examples: Annotated[int, Field(ge=0)] = 2
    """Test images whose maps are kept as pictures."""


class ReportSpec(Spec):
    """What authors add to the report; everything else in it is filled from the database."""

    title: str = ""
    """Of the report; the study's name by default."""
    background: str = ""
    """What is known already, and from whom; empty lines part paragraphs."""
    discussion: str = ""
    """What the authors make of the results; the report says that it is theirs."""


class StudySpec(Spec):
    """A whole study."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    purpose: str
    hypothesis: Annotated[tuple[HypothesisSpec, ...], Field(min_length=1)]
    design: Design = "full"
    factors: dict[str, Any] = {}  # noqa: RUF012
    """Levels by factor: a list of values of a dotted path, or a table of named settings."""
    arms: dict[str, Settings] = {}  # noqa: RUF012
    """With design `paired`: settings by name of the arm."""
    replicates: Count | tuple[Annotated[int, Field(ge=0)], ...] = 3
    """How many seeds from 0 on, or the seeds; points and training follow from a seed."""
    threads: Count = 1
    """Threads of a run: sums depend on them in their last digits."""
    data: DataSpec
    points: PointsSpec = PointsSpec()
    recipe: Settings = {}  # noqa: RUF012
    scoring: dict[str, ScoringSpec] = {}  # noqa: RUF012
    analysis: AnalysisSpec = AnalysisSpec()
    keep: KeepSpec = KeepSpec()
    report: ReportSpec = ReportSpec()

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds, in order."""
        given = self.replicates
        return tuple(range(given)) if isinstance(given, int) else given
