"""How labels are made from labels, as options of `link` and `grow`, and what both verbs do."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.labels.sure_map import SureMap
    from landvisor.recipe import GrowSpec, LinkSpec, Recipe

log = logging.getLogger(__name__)

making_options = o.options(
    click.option("--mask", type=click.Path(path_type=Path),
                 help="Mask of a single IMAGE: its labels without POINTS, else the truth."),
    click.option("--holdout", type=click.FloatRange(0, 1), default=0.2, show_default=True,
                 help="Share of the points that measure purity where no mask does."),
    click.option("--min-purity", type=click.FloatRange(0, 1), default=0.0,
                 help="Take back the new labels of classes not shown to reach it."),
    o.seed_option, o.split_option, o.source_options, o.label_options, o.reading_options,
    o.recipe_options, o.workers_option, o.json_option, o.verbosity,
)  # fmt: skip


def choose_recipe(values: o.Values, direct: dict[str, str], *, path: str, usual: str) -> Recipe:
    """Build the recipe; a verb does its usual thing where neither recipe nor option names one.

    Args:
        values: What was given.
        direct: Recipe path by name of the option.
        path: The choice that makes nothing unless it is made, as in `link.area`.
        usual: What it then becomes.

    Raises:
        click.UsageError: If `--set` names a key of another part, which the verb would ignore.
    """
    recipe = o.make_recipe(values, direct)
    part, name = path.split(".")
    keys = [text.partition("=")[0].strip() for text in values["settings"]]
    idle = [key for key in keys if key != "seed" and not key.startswith(f"{part}.")]
    if idle:
        raise click.UsageError(
            f"--set {idle[0]} does nothing for {part}, which takes seed and {part}.* alone; give "
            "it to map or fit, which link and grow on the way"
        )
    other = {"link": "grow", "grow": "link"}[part]
    unused = getattr(recipe, other)
    if unused != type(unused)():
        log.info("the recipe's part %s is not used here; map and fit use both", other)
    chosen = getattr(getattr(recipe, part), name)
    return recipe.with_values({path: usual}) if chosen == "none" else recipe


def make_and_tell(
    inputs: tuple[str, ...],
    values: o.Values,
    *,
    seed: int,
    link: LinkSpec | None = None,
    grow: GrowSpec | None = None,
    sure_map: SureMap | None = None,
) -> None:
    """Link or grow labels, publish them, and print what came of it.

    Args:
        inputs: Imagery and, last, points; without them masks are the labels.
        values: What was given.
        seed: Of the recipe.
        link: How places are linked; None links none.
        grow: How labels grow; None grows none.
        sure_map: Maps whose sure pixels become labels; None takes none.
    """
    from landvisor.labels.extend import Making
    from landvisor.labels.make import make_labels
    from landvisor.recipe import GrowSpec, LinkSpec

    images, points = o.part_inputs(inputs)
    made = make_labels(
        o.name_mask(
            o.find_collection(images, stack=values["stack"], assets=values["assets"]),
            values["mask"],
        ),
        points,
        out=values["out"],
        making=Making(
            link=link or LinkSpec(),
            grow=grow or GrowSpec(),
            sure_map=sure_map,
            holdout=values["holdout"],
            min_purity=values["min_purity"],
            seed=seed,
            workers=values["workers"],
        ),
        options=o.make_options({**values, "quiet": True}),  # there is no progress to show
    )
    lines = "\n".join([*made.lines, f"made: {values['out']}"])
    click.echo(json.dumps(made.facts, indent=2) if values["as_json"] else lines)
