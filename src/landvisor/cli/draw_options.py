"""How points are drawn, as options of `sample`, and which of them go with which strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from landvisor.cli import options as o

if TYPE_CHECKING:
    from landvisor.labels.strategies import DrawRule

STRATEGIES = ("random", "per_class", "per_object", "grid", "clustered", "budget")
_TOLD = ("n", "placement", "min_area", "cluster_size", "radius", "spread")
_ALWAYS = ("jitter", "noise")

draw_options = o.options(
    click.option("--strategy", type=click.Choice(STRATEGIES), default="random", show_default=True,
                 help="How points are drawn."),
    click.option("--n", type=click.IntRange(1),
                 help="Points per image (random, clustered, budget), per class and image "
                 "(per_class), or step in pixels (grid), 10 by default; with --from-map, in all."),
    click.option("--placement", type=click.Choice(["random", "interior"]),
                 help="per_object: where on its object."),
    click.option("--min-area", type=click.IntRange(1),
                 help="per_object: pixels of the smallest object."),
    click.option("--cluster-size", type=click.IntRange(1),
                 help="clustered: points of a cluster; 5 by default."),
    click.option("--radius", type=click.FloatRange(0),
                 help="clustered: pixels from its centre to the farthest; 20 by default."),
    click.option("--spread", type=click.Choice(["equal", "proportional", "sqrt"]),
                 help="budget: clicks per class, equal, or by area or its root."),
    click.option("--jitter", type=click.FloatRange(0),
                 help="Move places at random by up to so many pixels."),
    click.option("--noise", type=click.FloatRange(0, 1), help="Share of points of a wrong class."),
)  # fmt: skip


def check_usage(values: dict[str, Any]) -> None:
    """Refuse options that the chosen strategy would ignore.

    Raises:
        click.UsageError: Naming the first of them.
    """
    from landvisor.labels.strategies import USES  # imports scipy

    strategy = values["strategy"]
    idle = [k for k in _TOLD if values[k] is not None and k not in USES[strategy]]
    if idle:
        users = " or ".join(name for name in STRATEGIES if idle[0] in USES[name])
        option = "--" + idle[0].replace("_", "-")
        raise click.UsageError(f"{option} does nothing for {strategy}; it goes with {users}")


def make_rule(values: dict[str, Any]) -> DrawRule:
    """Build the rule of a draw; what was not given keeps its default."""
    from landvisor.labels.strategies import DrawRule  # imports scipy

    names = (*_TOLD[1:], *_ALWAYS)
    return DrawRule(**{name: values[name] for name in names if values[name] is not None})
