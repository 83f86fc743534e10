"""`landvisor info`: what is in a raster, points, collection, model or map."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.card import Card


@click.command("info")
@click.argument("path")
@o.options(o.json_option, o.verbosity)
def command(path: str, **values: Any) -> None:
    """Say what is in PATH: a raster, points, a collection, a model file or a folder of maps."""
    o.start_talking(values)
    from landvisor.card import read_card
    from landvisor.geo.describe import describe_path, find_kind, format_description

    model = find_kind(path) == "model"
    found = _describe_card(path, read_card(path)) if model else describe_path(path)
    if values["as_json"]:
        click.echo(json.dumps(found, indent=2))
        return
    if model:
        found["recipe"] = _changed(found["recipe"])
    click.echo("\n".join(format_description(found)))


def _describe_card(path: str, card: Card) -> dict[str, Any]:
    content = card.model_dump(mode="json")
    recipe = content["recipe"]
    return {
        "path": path,
        "kind": "model",
        "model": recipe["net"]["model"],
        "predictor": card.kind,
        "bands": list(card.bands),
        "dtype": card.dtype,
        "classes": [{"id": c.id, "name": c.name} for c in card.legend.active],
        "training": {k: v for k, v in content["training"].items() if k != "history"},
        "validation": content["validation"],
        "recipe": recipe,
        "notes": list(card.notes),
        **_describe_members(card),
    }


def _describe_members(card: Card) -> dict[str, Any]:
    members = [
        {key: m[key] for key in ("name", "weight") if key in m}
        | {"model": m["card"]["recipe"]["net"]["model"]}
        for m in card.extra.get("members", ())
    ]
    return {"members": members} if members else {}


def _changed(recipe: dict[str, Any]) -> dict[str, Any]:
    """Keep the choices that differ from the defaults, as dotted paths."""
    from landvisor.recipe import Recipe

    flat, default = _flatten(recipe), _flatten(Recipe().model_dump(mode="json"))
    return {path: value for path, value in flat.items() if value != default.get(path)}


def _flatten(recipe: dict[str, Any]) -> dict[str, Any]:
    parts = {
        key: value if isinstance(value, dict) else {"": value} for key, value in recipe.items()
    }
    return {
        f"{key}.{name}".rstrip("."): value
        for key, part in parts.items()
        for name, value in part.items()
    }
