"""What a model is and was trained on: the card that travels inside its file."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from landvisor.errors import ModelError
from landvisor.geo.legend import LandClass, Legend
from landvisor.recipe import Recipe

CARD_KEY = "landvisor"
FORMAT = 1
_MAX_HEADER = 100_000_000


class CardClass(BaseModel):
    """One class of the model's legend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: int
    name: str
    color: str
    ignore: bool = False
    merged_into: int | None = None


class Card(BaseModel):
    """Everything about a model but its weights.

    Attributes:
        format: Version of this layout.
        kind: Which predictor reads the tensors: `network`, `instant`, `ensemble` or `separate`.
        classes: The legend, all classes in order; active ones are what is predicted.
        bands: Names of the bands the model reads, in order.
        dtype: Data type of the training imagery, such as `uint8`.
        mean: Mean per band of the training imagery's valid pixels, in native units.
        std: Standard deviation per band, in native units.
        histogram: Per band, 256 quantiles of valid training pixels, for histogram matching.
        input_mean: What the network subtracts per band, in native units.
        input_std: What the network divides by per band, in native units.
        recipe: All choices of the run.
        training: Places per class and source, scenes, the history of a network's training.
        validation: What chose the model: size and scores.
        prior_factors: Per active class, what its probability is multiplied by; none changes none.
        shares: Per active class, the share that its probability presumes; none is unknown.
        temperature: By which finished probabilities are softened (above 1) or sharpened, as
            places of validation have it; 1 where they were too few.
        notes: Warnings a user must see again, one sentence each.
        extra: Values that the predictor's kind needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    kind: str
    classes: tuple[CardClass, ...]
    bands: tuple[str, ...]
    dtype: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    histogram: tuple[tuple[float, ...], ...] = ()
    input_mean: tuple[float, ...] = ()
    input_std: tuple[float, ...] = ()
    recipe: Recipe
    training: dict[str, Any] = {}
    validation: dict[str, Any] = {}
    prior_factors: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    notes: tuple[str, ...] = ()
    extra: dict[str, Any] = {}

    @property
    def legend(self) -> Legend:
        """The classes as a legend."""
        return Legend(tuple(LandClass(**c.model_dump()) for c in self.classes))


def card_classes(legend: Legend) -> tuple[CardClass, ...]:
    """Turn a legend into what a card stores."""
    return tuple(CardClass(**vars(c)) for c in legend.classes)


def read_card(path: Path | str) -> Card:
    """Read the card of a model file without loading its weights (or torch).

    Raises:
        ModelError: If there is no such file, it is not safetensors, or it has no valid card.

    References:
        The safetensors format: 8 bytes little-endian header size, then JSON whose
        `__metadata__` maps strings to strings.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            header = _read_header(stream.read(8), stream.read)
    except OSError as error:
        raise ModelError(f"no model at {str(file)!r}; give a .safetensors file of `fit`") from error
    except ValueError as error:
        raise ModelError(
            f"{str(file)!r} is not a safetensors file; landvisor reads only models that `fit` "
            "wrote, and never pickles"
        ) from error
    metadata = header.get("__metadata__")
    known = metadata if isinstance(metadata, dict) else {}
    return parse_card(known.get(CARD_KEY), name=str(file))


def parse_card(text: str | None, *, name: str) -> Card:
    """Parse the JSON of a card.

    Raises:
        ModelError: If it is missing, of a newer format, or invalid.
    """
    if text is None:
        raise ModelError(f"{name!r} holds weights but no landvisor card; make one with `fit`")
    try:
        content = json.loads(text)
        if content.get("format", 0) > FORMAT:
            raise ModelError(f"{name!r} has card format {content['format']}; update landvisor")
        return Card.model_validate(content)
    except (json.JSONDecodeError, ValidationError, AttributeError, TypeError) as error:
        first = _first_fault(error)
        raise ModelError(f"the card of {name!r} is damaged ({first}); fit it again") from error


def _first_fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    fault = error.errors()[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


def _read_header(size: bytes, read: Any) -> dict[str, Any]:
    if len(size) != 8:
        raise ValueError("too short for a header")
    (length,) = struct.unpack("<Q", size)
    if length > _MAX_HEADER:
        raise ValueError("header too long")
    header = json.loads(read(length).decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("header is not an object")
    return header
