"""What a study measured: tables, effect plots, interactions, learning curves and maps."""

from __future__ import annotations

from landvisor.report.canvas import figure_to_png, figure_to_svg
from landvisor.report.document import Block, Paragraph, Picture, Table, Text
from landvisor.report.study_curves import Curve, draw_curves, gather_curve
from landvisor.report.study_figures import (
    Bar,
    Group,
    draw_effects,
    draw_interaction,
    draw_means,
)
from landvisor.report.study_maps import count_errors, draw_example, name_wrong
from landvisor.report.study_numbers import show_interval, show_metric
from landvisor.report.study_values import Plain, StudyPage

_MOST_ARMS = 14  # whose maps are shown side by side
_MOST_SEEDS = 5  # that a table shows one by one
_VALIDATED = ("mean_iou", "mean_f1", "oa")  # in curves, the first that there is


def describe_results(page: StudyPage) -> tuple[Block, ...]:
    """Return tables and figures of what was measured, the main measure first."""
    return (
        *_tabulate_main(page),
        _draw_means(page),
        _draw_effects(page),
        *_draw_interactions(page),
        *_draw_curves(page),
        *_draw_examples(page),
    )


def tabulate_others(page: StudyPage) -> tuple[Block, ...]:
    """Return a table for every other split and scoring that was counted."""
    main = page.main
    pairs = dict.fromkeys(
        (arm["measure"]["split"], arm["measure"]["scoring"]) for arm in page.analysis["arms"]
    )
    others = [pair for pair in pairs if pair != (main["split"], main["scoring"])]
    return tuple(_tabulate(page, split, scoring) for split, scoring in others)


def _tabulate_main(page: StudyPage) -> tuple[Block, ...]:
    return (_tabulate(page, page.main["split"], page.main["scoring"]), _tabulate_intervals(page))


def _list_arms(page: StudyPage, split: str, scoring: str, metric: str) -> list[tuple[int, Plain]]:
    """List the arms by a measure, each with its position in the analysis."""
    measure = {"metric": metric, "scoring": scoring, "split": split}
    return [(k, arm) for k, arm in enumerate(page.analysis["arms"]) if arm["measure"] == measure]


def _tabulate(page: StudyPage, split: str, scoring: str) -> Table:
    metrics = page.spec["analysis"]["metrics"]
    columns = [_list_arms(page, split, scoring, metric) for metric in metrics]
    rows = []
    for together in zip(*columns, strict=True):
        arm = together[0][1]
        rows.append((arm["arm"], *(_show_mean(page, each) for _, each in together)))
    count = len(page.seeds)
    how = "" if scoring == "standard" else f", scoring “{scoring}”"
    spread = " ± standard deviation" if count > 1 else ""
    return Table(
        f"Mean{spread} over {count} seeds on {split}{how}.",
        ("arm", *(page.titles[metric] for metric in metrics)),
        tuple(rows),
    )


def _show_mean(page: StudyPage, arm: Plain) -> Text:
    mean = show_metric(page, arm, "mean")
    return mean if arm["sd"] is None else (mean, " ± ", show_metric(page, arm, "sd"))


def _tabulate_intervals(page: StudyPage) -> Table:
    """Return the main measure of each arm: every seed, mean, spread and interval."""
    main, few = page.main, len(page.seeds) <= _MOST_SEEDS
    rows: list[tuple[Text, ...]] = []
    for k, arm in _list_arms(page, main["split"], main["scoring"], main["metric"]):
        each = [
            show_metric(page, arm, "value", value=value, seed=seed)
            for seed, value in zip(arm["seeds"], arm["values"], strict=True)
            if few
        ]
        sd: Text = show_metric(page, arm, "sd") if arm["sd"] is not None else "–"
        rows.append(
            (arm["arm"], *each, show_metric(page, arm, "mean"), sd,
             show_interval(f"arms/{k}", arm))
        )  # fmt: skip
    percent = f"{100 * page.analysis['confidence']:g} %"
    said = page.say_measure(main)
    return Table(
        f"{said[0].upper()}{said[1:]}: {'every seed, ' * few}mean, standard deviation over "
        f"{len(page.seeds)} seeds, and "
        f"{percent} interval of the mean for other seeds on these images.",
        (
            "arm",
            *(f"seed {seed}" for seed in page.seeds if few),
            "mean",
            "sd",
            f"{percent} interval",
        ),
        tuple(rows),
    )


def _draw_means(page: StudyPage) -> Picture:
    main = page.main
    arms = _list_arms(page, main["split"], main["scoring"], main["metric"])
    bars = [_bar_of(arm["arm"], arm) for _, arm in arms]
    said = page.say_measure(main)
    spoken = ", ".join(f"{bar.label} {bar.middle:.3f}" for bar in bars)
    return Picture(
        figure_to_svg(draw_means(bars, label=said)), "svg",
        alt=f"Mean of {said} by arm: {spoken}.",
        caption=f"{said[0].upper()}{said[1:]}: mean of each arm (filled) with its "
        f"{100 * page.analysis['confidence']:g} % interval over seeds, and every seed (rings). "
        "Whether arms differ is not seen by whether these intervals overlap, as arms share their "
        "seeds; see the effects.",
    )  # fmt: skip


def _bar_of(label: str, found: Plain) -> Bar:
    return Bar(label, _or_nan(found["mean"]), found["low"], found["high"],
               [_or_nan(value) for value in found["values"]])  # fmt: skip


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _draw_effects(page: StudyPage) -> Picture:
    groups = [Group(f"{f['factor']}", [_effect_bar(e) for e in f["effects"]])
              for f in page.analysis["factors"]]  # fmt: skip
    claims = []
    for verdict in page.analysis["verdicts"]:
        label = f"{verdict['name']}: {show_title(verdict['effect']['title'])}"
        claims.append(_effect_bar(verdict["effect"], label=label, smallest=verdict["smallest"]))
    groups = [Group("hypotheses", claims), *(group for group in groups if group.bars)]
    figure = draw_effects(groups, label="effect", confidence=page.analysis["confidence"])
    spoken = "; ".join(f"{b.label} {b.middle:+.3f}" for group in groups for b in group.bars)
    said = page.say_measure(page.main)
    return Picture(
        figure_to_svg(figure), "svg", alt=f"Effects: {spoken}.",
        caption=f"Effects with their intervals; rings are single seeds. Hypotheses (diamonds) are "
        "in units of their own metric, with a grey bar from minus to plus the smallest effect of "
        f"interest. Below them, each level of a factor against its first, by {said}.",
    )  # fmt: skip


def _effect_bar(effect: Plain, *, label: str = "", smallest: float | None = None) -> Bar:
    return Bar(
        label or show_title(effect["title"]), _or_nan(effect["estimate"]), effect["low"],
        effect["high"], [_or_nan(value) for value in effect["per_seed"]], smallest,
        strong=bool(label),
    )  # fmt: skip


def show_title(title: str) -> str:
    """Write the title of an effect with a real minus between what is compared."""
    return title.replace(" - ", " − ")


def _draw_interactions(page: StudyPage) -> tuple[Block, ...]:
    pictures = []
    for pair in page.analysis["interactions"]:
        first, second = pair["factors"]
        levels = tuple(
            list(dict.fromkeys(cell["levels"][name] for cell in pair["cells"]))
            for name in (first, second)
        )
        cells = [_bar_of("", cell) for cell in pair["cells"]]
        said = page.say_measure(pair["measure"])
        figure = draw_interaction((levels[0], levels[1]), cells, factors=(first, second),
                                  label=said)  # fmt: skip
        spoken = ", ".join(
            f"{' and '.join(cell['levels'].values())} {_or_nan(cell['mean']):.3f}"
            for cell in pair["cells"]
        )
        pictures.append(Picture(
            figure_to_svg(figure), "svg", alt=f"{said} by {first} and {second}: {spoken}.",
            caption=f"{first} and {second} together: {said}, mean over seeds with its interval. "
            "Parallel lines are no interaction.", width=0.82,
        ))  # fmt: skip
    return tuple(pictures)


def _draw_curves(page: StudyPage) -> tuple[Block, ...]:
    names = {row[2] for run in page.done for row in run.curves}
    if not names:
        return (Paragraph("There are no learning curves: no run trained in epochs."),)
    several = any(len({row[0] for row in run.curves}) > 1 for run in page.done)
    last = " Where a run trains several times, it is the last training." if several else ""
    pictures: list[Block] = []
    metric = next((name for name in _VALIDATED if name in names), None)
    if metric is not None:
        title = page.titles.get(metric, metric)
        pictures += _draw_curve(
            page, metric, f"{title} at validation places", comparable=True,
            caption=f"Learning curves: {title} at the labelled places of validation, mean over "
            f"seeds (line) and their range (band).{last}",
        )  # fmt: skip
    if "loss" in names:
        pictures += _draw_curve(
            page, "loss", "training loss", comparable=False,
            caption="Training loss, all its terms together, mean over seeds (line) and their range "
            "(band). Each arm has its own axis: heights of different losses, α or γ cannot be "
            f"compared.{last}",
        )  # fmt: skip
    return tuple(pictures)


def _draw_curve(
    page: StudyPage, name: str, label: str, *, comparable: bool, caption: str
) -> list[Block]:
    found = [_gather(page, arm, name) for arm in page.analysed]
    curves = [curve for curve in found if curve is not None]
    if not curves:
        return []
    ends = ", ".join(f"{c.arm} {c.mean[0]:.3f} to {c.mean[-1]:.3f}" for c in curves)
    figure = draw_curves(curves, label=label, comparable=comparable)
    return [Picture(figure_to_svg(figure), "svg", alt=f"{label} from first to last epoch: {ends}.",
                    caption=caption)]  # fmt: skip


def _gather(page: StudyPage, arm: str, name: str) -> Curve | None:
    """Gather the curve of the last training of each seed: that is what the model came of."""
    seeds = []
    for run in page.runs_of(arm):
        rows = [row for row in run.curves if row[2] == name]
        last = max((int(row[0]) for row in rows), default=0)
        seeds.append([(row[1], row[3]) for row in rows if int(row[0]) == last])
    return gather_curve(arm, seeds)


def _draw_examples(page: StudyPage) -> tuple[Block, ...]:
    classes = [(c["id"], c["name"], c["color"]) for c in page.facts["classes"]]
    scored = [c["id"] for c in page.facts["classes"] if c["scored"]]
    colour = name_wrong([each for _, _, each in classes])
    pictures: list[Block] = []
    for example in page.examples:
        shown = list(example.maps)[:_MOST_ARMS]
        left = len(example.maps) - len(shown)
        wrong = []
        for arm in shown:
            errors, counted = count_errors(example, arm, scored=scored)
            wrong.append(f"{arm} {100 * errors / max(counted, 1):.0f} %")
        more = f" {left} further arms are not shown." if left else ""
        figure = draw_example(example, shown, classes=classes, scored=scored)
        pictures.append(Picture(
            figure_to_png(figure), "png",
            alt=f"Maps of test image {example.name}; wrong pixels: {', '.join(wrong)}.",
            caption=f"Test image {example.name}, seed {example.seed}: first the image and, below "
            f"it, the mask; then the map of each arm and, below it, its errors in {colour}. "
            f"Pixels that are not scored are grey.{more}",
        ))  # fmt: skip
    return tuple(pictures)
