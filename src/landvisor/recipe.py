"""Every option on one page: frozen specs and the Recipe that holds them; strict TOML."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from landvisor.architectures import check_partner, check_plain, check_pretraining, check_stages
from landvisor.assess_spec import AssessSpec
from landvisor.errors import RecipeError
from landvisor.label_specs import Count, GrowSpec, LabelSpec, LinkSpec, Positive, Share, Spec
from landvisor.loss_sum import parse_loss, say_loss, takes_smoothing

__all__ = [
    "INSTANT_MODELS",
    "AssessSpec",
    "FitSpec",
    "GrowSpec",
    "InstantSpec",
    "LabelSpec",
    "LinkSpec",
    "NetSpec",
    "PredictSpec",
    "Recipe",
    "Spec",
    "TeacherSpec",
    "option_paths",
    "parse_recipe",
    "read_recipe",
]

Zoom = Annotated[float, Field(ge=0.25, le=4)]
Flips = Literal[True, False, "sideways"]
Widths = Annotated[tuple[Count, ...], Field(min_length=3, max_length=6)]

INSTANT_MODELS = ("instant", "bank", "forest")
TAUGHT_WEIGHT = 10.0  # of an instant teacher: chosen on validation, see docs/benchmarks.md


class NetSpec(Spec):
    """Which model reads the imagery."""

    model: Literal[
        "auto", "unet", "fpn", "deeplabv3plus", "segformer", "plain_unet", "one_conv",
        "instant", "bank", "forest",
    ] = "auto"  # fmt: skip
    """What learns; `auto` follows `preset`, or is `bank` without weights or known colours."""
    encoder: str = "mobilenetv2_100"
    """A timm encoder's name."""
    encoder_weights: str = "auto"
    """`auto` (cache or hub, else from scratch), `none`, a hub name, or a safetensors file."""
    encoder_args: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults
    """Extra arguments of the timm encoder, such as `{"pad_type": "same"}`."""
    encoder_mean: tuple[float, ...] | None = None
    """Input mean per pretrained band on the 0..1 scale; None takes the weights' own."""
    encoder_std: tuple[float, ...] | None = None
    """Input deviation per pretrained band on the 0..1 scale; None takes the weights' own."""
    partner: Literal["auto", "none", "instant"] = "auto"
    """An instant model that is averaged with the network, each as validation weighs it."""
    separate: str = ""
    """A class that a model of its own tells from all others, which a second tells apart."""
    widths: Widths = (32, 64, 128, 256, 512)
    """Channels of a `plain_unet` at strides 1, 2, 4 and so on, the bottleneck last."""
    norm: Literal["batch", "group"] = "batch"
    """With `plain_unet`: normalise over a batch, or each image alone in 8 groups of channels."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """With `plain_unet`: share of the bottleneck's channels that a training step leaves out."""
    gated: bool = False
    """With `plain_unet`: attention gates weigh what skips to the decoder."""
    supervised_stages: tuple[Count, ...] = ()
    """Strides of decoder stages with a head of their own in training, such as `[4, 8]`."""

    @field_validator("encoder_weights", "encoder_args", "encoder_mean", "encoder_std")
    @classmethod
    def _check_pretraining(cls, value: Any, info: ValidationInfo) -> Any:
        check_pretraining(value, model=info.data.get("model", "auto"))
        return value

    @field_validator("partner")
    @classmethod
    def _check_partner(cls, partner: str, info: ValidationInfo) -> str:
        check_partner(partner, model=info.data.get("model", "unet"))
        return partner

    @field_validator("widths", "norm", "dropout", "gated")
    @classmethod
    def _check_plain(cls, value: Any, info: ValidationInfo) -> Any:
        default = cls.model_fields[str(info.field_name)].default
        check_plain(value, model=info.data.get("model", "plain_unet"), default=default)
        return value

    @field_validator("supervised_stages")
    @classmethod
    def _check_stages(cls, stages: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        model, widths = info.data.get("model", "auto"), info.data.get("widths", ())
        return check_stages(stages, model=model, widths=widths)


class FitSpec(Spec):
    """How a network is trained."""

    epochs: Count = 60
    """Longest training; early stopping may end it before."""
    batch_size: Count = 4
    chip: Annotated[int, Field(ge=32)] = 256
    """Side of a training chip in pixels."""
    steps: Annotated[int, Field(ge=0)] = 0
    """Optimiser steps per epoch; 0 lets every chip occur once an epoch."""
    lr: Positive = 1e-3
    encoder_lr_factor: Positive = 0.3
    """Rate of a pretrained encoder relative to `lr`; 1 where it starts from scratch."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    """`sgd` has a Nesterov momentum of 0.9 and wants a far larger `lr` than the others."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    schedule: Literal["onecycle", "cosine", "plateau", "none"] = "onecycle"
    """Course of the rate: up and down by cosines, down only, down without gain, or constant."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """With `plateau`: what is left of the rate each time that it falls."""
    plateau_patience: Count = 5
    """With `plateau`: epochs without gain on validation before the rate falls."""
    clip: Annotated[float, Field(ge=0)] = 1.0
    """Largest gradient norm; 0 does not clip."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the running average of weights, which validates and is kept; 0 averages none."""
    loss: str = "focal"
    """`focal`, `ce`, `bce`, `bce_dice_focal`, `dice`, `jaccard`, `lovasz`, or `ce + 0.5*dice`."""
    gamma: Annotated[float, Field(ge=0)] = 0.0
    """Focusing of focal terms; 0 makes them cross-entropy. Other losses have no use for it."""
    alpha: Positive | None = None
    """Scalar factor of the loss; class weights come from `labels.class_weights`."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of a place spread over all classes, in focal, ce and bce terms only."""
    logit_adjustment: Literal["none", "prior", "frequency"] = "none"
    """Correct shares of places in training: to `labels.area_prior`, or to equal ones."""
    normalise_alpha: bool = True
    """Keep a scalar alpha from changing the balance with other terms: it is divided out."""
    pairwise: Annotated[float, Field(ge=0)] = 0.0
    """Factor of a term that makes near pixels of one colour agree, from 0 to some tens."""
    pairwise_colour: Positive = 0.3
    """With `pairwise`: colour difference that still counts as alike, in deviations of a band."""
    flips: Flips = True
    """Turn and mirror chips by the eight symmetries of the square; `sideways` mirrors left and
    right alone, for pictures with an above and a below."""
    scale: tuple[Positive, Positive] = (0.75, 1.33)
    """Range of the random zoom of a chip; (1, 1) leaves its scale."""
    distort: Literal["none", "elastic", "grid"] = "none"
    """Bend chips as rubber, everywhere or by the crossings of a coarse grid; places go along."""
    distort_pixels: Positive = 4.0
    """With `distort`: standard deviation of the shifts, in pixels."""
    colour: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Strength of random brightness and contrast changes, as a share of a band's deviation."""
    match_histogram: Share = 0.0
    """Share of chips moved to other values: another scene's distribution, or their own, bent."""
    balanced_chips: Share = 0.0
    """Share of labelled chips that are chosen by class, so that rare classes are seen as often."""
    copy_paste: Share = 0.0
    """Share of chips with a small patch around a place, mostly of a rare class, pasted in."""
    val_share: Share = 0.2
    """Share of the places held out in spatial blocks to choose the epoch."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Epochs without gain on validation before training stops; 0 goes on to the end."""
    keep: Literal["best", "last"] = "best"
    """Weights of the epoch that validation chose, or of the last, however it does there."""
    members: Literal["auto"] | Count = "auto"
    """Models of other seeds, each with other places held out for validation, averaged."""
    refit: bool = False
    """Train anew on all places, validation's too, for the epochs that validation chose."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` computes in bfloat16 where the hardware multiplies it."""

    @field_validator("loss")
    @classmethod
    def _check_loss(cls, loss: str) -> str:
        return say_loss(parse_loss(loss))  # equal sums are equal strings, and equal digests

    @field_validator("label_smoothing")
    @classmethod
    def _check_smoothing(cls, share: float, info: ValidationInfo) -> float:
        loss = info.data.get("loss")  # missing where it is refused itself
        if share and loss is not None and not takes_smoothing(parse_loss(loss)):
            raise ValueError(f"{loss!r} compares sets, which have none; add ce to it or leave it 0")
        return share


class TeacherSpec(Spec):
    """What pixels without a label teach a network."""

    source: Literal["auto", "none", "average", "instant", "both"] = "auto"
    """Who says what they are: the averaged weights, an instant model, or both in turn."""
    weight: Literal["auto"] | Annotated[float, Field(ge=0)] = "auto"
    """Factor of this term beside 1 for places; `auto` is 10 with an instant model, else 1."""
    ramp: Share = 0.25
    """Share of the training over which the averaged weights gain their full say."""
    fade: Share = 0.9
    """How much of an instant teacher's say is gone by the end, along a half cosine."""
    consistency: Literal["pseudo_ce", "soft_ce", "mse"] = "pseudo_ce"
    """Averaged weights give a class, probabilities, or probabilities compared by squares."""
    threshold: Share = 0.9
    """Least probability at which what the averaged weights say is believed."""
    adaptive: bool = True
    """Lower the threshold of a class to the mean probability of the pixels that it gets."""
    balance: bool = True
    """Weigh classes that are believed at few pixels up, by the root of their share."""
    cutmix: Share = 0.5
    """Share of chips that get a rectangle of another chip, with its places."""
    colour: Share = 0.3
    """Strength of random colour changes in what the network sees and its average does not."""
    unlabelled: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of chips from regions without places: of the same large scenes, or `--unlabelled`."""
    rounds: Count = 1
    """Trainings; in further ones an instant model on the encoder of the one before teaches."""
    self_training: bool = False
    """Train once more, on pixels that the network is sure of as well, by `threshold`."""

    @field_validator("rounds")
    @classmethod
    def _check_rounds(cls, rounds: int, info: ValidationInfo) -> int:
        source = info.data.get("source")  # missing where it was refused itself
        instructs = source not in ("none", "average")
        if rounds > 1 and not (instructs and info.data.get("weight", 1)):
            raise ValueError("only an instant model teaches in rounds; choose it by teacher.source")
        return rounds

    @property
    def teaches(self) -> bool:
        """Whether unlabelled pixels teach at all."""
        return (self.averages or self.instructs) and self.factor > 0

    @property
    def factor(self) -> float:
        """What `weight` is, or stands for."""
        if self.weight != "auto":
            return self.weight
        return TAUGHT_WEIGHT if self.instructs else 1.0

    @property
    def averages(self) -> bool:
        """Whether the averaged weights teach."""
        return self.source in ("average", "both")

    @property
    def instructs(self) -> bool:
        """Whether an instant model teaches."""
        return self.source in ("instant", "both")


class InstantSpec(Spec):
    """How a frozen-feature model is fitted."""

    classifier: Literal["both", "trees", "mlp"] = "both"
    """Extremely randomised trees, one hidden layer, or both averaged: they err differently."""
    trees: Count = 200
    min_leaf: Count = 1
    hidden: Count = 128
    scales: tuple[Count, ...] = (1, 2)
    """Zooms at which the frozen encoder reads the image."""
    sigmas: tuple[Positive, ...] = (1.0, 2.0, 4.0, 8.0)
    """Widths of the filter bank in pixels."""
    refit: bool = True
    """Fit again, to the places of training and validation together, once validation has judged."""


class PredictSpec(Spec):
    """How a model is turned into a map."""

    window: Annotated[int, Field(ge=32)] = 512
    """Side of a prediction window in pixels."""
    overlap: Annotated[int, Field(ge=0)] = 192
    """Pixels that neighbouring windows share, half of a window at most: edges see less around."""
    batch_size: Count = 4
    """Windows that an accelerator computes at a time; of a processor each core computes one."""
    block: tuple[Count, Count] = (1024, 4096)
    """Rows and columns of a block, which is kept once it is predicted: a kill costs one."""
    tta: Literal["auto", "none", "flips", "d4"] = "auto"
    """Sides from which a window is seen, averaged: one, four by mirrors, eight by turns too."""
    scales: Annotated[tuple[Zoom, ...], Field(min_length=1)] = (1.0,)
    """Zooms at which a window is seen, averaged; (1, 1.25) sees it larger as well."""
    local_prior: Share = 0.5
    """How strongly classes are favoured that a window holds more of than the places had."""
    stride: Count = 2
    """Rows and columns from one pixel that `instant` classifies to the next; linear in between."""
    mosaic: Literal["none", "feather", "first", "cloud", "date"] = "none"
    """One map of all; where they overlap all count, or the first, least cloudy or latest one."""
    feather: Positive = 64.0
    """Pixels of a scene from its border to where it counts wholly, in a mosaic of that kind."""
    crs: str | None = None
    """CRS of a mosaic; that of the first scene where it is not given."""
    resolution: Positive | None = None
    """Side of a mosaic's pixels in units of its CRS; that of the finest scene where not given."""
    on_error: Literal["fail", "nodata"] = "fail"
    """Damaged blocks of an image end the run, or become no data and are reported."""
    calibrate: bool = True
    """Soften or sharpen probabilities by the temperature that validation found; classes stay."""
    match_histogram: bool = False
    """Move the bands of all scenes to the distribution of the training imagery's values."""
    backend: Literal[
        "auto", "torch", "torch-fp32", "torch-bf16",
        "openvino-fp32", "openvino-bf16", "openvino-int8", "onnxruntime-fp32",
    ] = "auto"  # fmt: skip
    """What computes networks; `auto` tries, `torch` is in the precision of `fit.precision`."""

    @property
    def shared(self) -> int:
        """Pixels that neighbouring windows share: `overlap`, or half of a window."""
        return min(self.overlap, self.window // 2)


class Recipe(Spec):
    """All choices of one run."""

    preset: Literal["fast", "default", "best"] = "default"
    """What `auto` stands for: an instant model, a network beside it, or three of both."""
    seed: Annotated[int, Field(ge=0)] = 0
    labels: LabelSpec = LabelSpec()
    link: LinkSpec = LinkSpec()
    grow: GrowSpec = GrowSpec()
    net: NetSpec = NetSpec()
    fit: FitSpec = FitSpec()
    teacher: TeacherSpec = TeacherSpec()
    instant: InstantSpec = InstantSpec()
    predict: PredictSpec = PredictSpec()
    assess: AssessSpec = AssessSpec()

    def with_values(self, values: dict[str, Any]) -> Recipe:
        """Return a recipe with dotted paths such as `fit.lr` set to new values.

        Raises:
            RecipeError: If a path does not exist or a value does not fit it.
        """
        content = self.model_dump()
        for path, value in values.items():
            _set(content, path, value)
        return parse_recipe(content)

    def digest(self) -> str:
        """Return a hash that names these choices: equal recipes, equal names."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def read_recipe(path: Path | str) -> Recipe:
    """Read a recipe from strict TOML.

    Raises:
        RecipeError: If the file is missing, is not TOML, or has an unknown key or bad value.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"no recipe at {str(file)!r}; give a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {str(file)!r} is not TOML: {error}") from error
    return parse_recipe(content)


def parse_recipe(content: dict[str, Any]) -> Recipe:
    """Check a nested dictionary and return the recipe it describes.

    Raises:
        RecipeError: Naming the first bad key with the nearest valid one, or the bad value.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise RecipeError(_unknown_key(path)) from error
        raise RecipeError(f"recipe key {path!r} has {first['input']!r}: {first['msg']}") from error


def option_paths() -> list[str]:
    """List every dotted path of a recipe, such as `fit.lr`."""
    paths = []
    for name, field in Recipe.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, Spec):
            paths += [f"{name}.{key}" for key in part.model_fields]
        else:
            paths.append(name)
    return paths


def _unknown_key(path: str) -> str:
    near = difflib.get_close_matches(path, option_paths(), n=1, cutoff=0.0)
    part = path.rpartition(".")[0]
    keys = [key.rpartition(".")[2] for key in option_paths() if key.rpartition(".")[0] == part]
    others = f"; the keys of {part!r} are {', '.join(keys)}" if part and keys else ""
    return f"unknown recipe key {path!r}; the nearest valid one is {near[0]!r}{others}"


def _set(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        if not isinstance(content.get(parent), dict):
            raise RecipeError(_unknown_key(path))
        content = content[parent]
    if last not in content:
        raise RecipeError(_unknown_key(path))
    content[last] = value
