"""How a model becomes a map; called, this package is the verb `landvisor.predict`.

Python binds a package in its parent once it is imported, so `landvisor.predict` would be the verb
at first and the package ever after. The package can therefore be called as the verb is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landvisor.geo.bundle import MapFiles
    from landvisor.geo.collection import CollectionSource
    from landvisor.geo.points import Points
    from landvisor.learn.model_file import ModelSource
    from landvisor.options import Options
    from landvisor.recipe import Recipe


class _Verb(ModuleType):
    """A package that can be called."""

    def __call__(
        self,
        model: ModelSource,
        scenes: CollectionSource,
        *,
        out: Path | str,
        recipe: Recipe | None = None,
        weights: Sequence[float] | None = None,
        weigh_on: Path | str | Points | None = None,
        options: Options | None = None,
    ) -> list[MapFiles]:
        """Predict scenes with a model; see `landvisor.workflow.predict`."""
        workflow = importlib.import_module("landvisor.workflow")  # it is a floor above
        maps: list[MapFiles] = workflow.predict(
            model,
            scenes,
            out=out,
            recipe=recipe,
            weights=weights,
            weigh_on=weigh_on,
            options=options,
        )
        return maps


sys.modules[__name__].__class__ = _Verb
