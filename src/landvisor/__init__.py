"""Land-cover maps with a stated accuracy, from imagery and labelled points."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from landvisor.accuracy.assess import Assessment
    from landvisor.accuracy.draw import DrawSpec, draw_sample
    from landvisor.geo.collection import Collection, open_collection
    from landvisor.geo.histogram import match_histogram
    from landvisor.geo.legend import Legend
    from landvisor.geo.points import Points, read_points
    from landvisor.geo.rasters import open_scene
    from landvisor.geo.scene import Scene
    from landvisor.geo.sieve import sieve
    from landvisor.geo.vectorize import vectorize
    from landvisor.labels.make import grow_points, link_points
    from landvisor.labels.sampling import simulate_points
    from landvisor.learn.model import Model
    from landvisor.learn.model_file import load_model, save_model
    from landvisor.options import Options
    from landvisor.recipe import Recipe
    from landvisor.study.read import Study, read_study
    from landvisor.study.run import run_study
    from landvisor.workflow import assess, fit, map, predict  # noqa: A004 - the verb of the trade

__version__ = "0.1.0"

_HOMES = {
    "Assessment": "accuracy.assess",
    "Collection": "geo.collection",
    "DrawSpec": "accuracy.draw",
    "Legend": "geo.legend",
    "Model": "learn.model",
    "Options": "options",
    "Points": "geo.points",
    "Recipe": "recipe",
    "Scene": "geo.scene",
    "Study": "study.read",
    "assess": "workflow",
    "draw_sample": "accuracy.draw",
    "fit": "workflow",
    "grow_points": "labels.make",
    "link_points": "labels.make",
    "load_model": "learn.model_file",
    "map": "workflow",
    "match_histogram": "geo.histogram",
    "open_collection": "geo.collection",
    "open_scene": "geo.rasters",
    "predict": "workflow",
    "read_points": "geo.points",
    "read_study": "study.read",
    "run_study": "study.run",
    "save_model": "learn.model_file",
    "sieve": "geo.sieve",
    "simulate_points": "labels.sampling",
    "vectorize": "geo.vectorize",
}

__all__ = [
    "Assessment",
    "Collection",
    "DrawSpec",
    "Legend",
    "Model",
    "Options",
    "Points",
    "Recipe",
    "Scene",
    "Study",
    "assess",
    "draw_sample",
    "fit",
    "grow_points",
    "link_points",
    "load_model",
    "map",
    "match_histogram",
    "open_collection",
    "open_scene",
    "predict",
    "read_points",
    "read_study",
    "run_study",
    "save_model",
    "sieve",
    "simulate_points",
    "vectorize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'landvisor' has no attribute {name!r}")
    return getattr(importlib.import_module(f"landvisor.{_HOMES[name]}"), name)
