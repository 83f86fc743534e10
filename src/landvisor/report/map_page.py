"""The report of one map: plain values in, one self-contained HTML page out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from landvisor.geo.legend import Legend
from landvisor.report.charts import draw_areas, draw_class_bars, draw_confusion, draw_history
from landvisor.report.evidence import picture_calibration
from landvisor.report.figures import Marks, draw_map, draw_scene, draw_uncertainty, mark_glyph
from landvisor.report.fold_map import FoldMap, draw_folds
from landvisor.report.pictures import Picture, make_picture
from landvisor.report.scores import Scores, read_scores
from landvisor.report.statement import write_statement

_MOST_CELLS = 20  # classes beyond which a confusion matrix cannot be read on a page


@dataclass(frozen=True, eq=False)
class MapPage:
    """Everything that a map's report shows.

    Attributes:
        title: Name of the map.
        summary: One or two sentences below the title.
        legend: The classes.
        rgb: uint8 `[row, col, 3]`: the image, reduced.
        classes: uint8 `[row, col]`: the map on the same pixels; ids it lacks are no data.
        uncertainty: float `[row, col]`, 0 to 1, NaN where no data; None where there is none.
        marks: Labelled places in pixels of `rgb`; None shows none.
        assessment: What `Assessment.to_dict` returned; None where the map was not assessed.
        shares: Share of the mapped pixels by class id, of the whole map.
        training: (label, value) pairs: what was trained on what.
        history: Values per epoch by name, or nothing.
        other_histories: Of further members of the model.
        folds: Which places were held out together; None shows none.
        notes: Warnings that a reader must see, one sentence each.
        command: What makes the same map again.
        files: (name, what it is) of the files beside the report.
    """

    title: str
    legend: Legend
    rgb: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    summary: str = ""
    uncertainty: NDArray[np.floating] | None = None
    marks: Marks | None = None
    assessment: Mapping[str, Any] | None = None
    shares: Mapping[int, float] = field(default_factory=dict)
    training: Sequence[tuple[str, str]] = ()
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    other_histories: Sequence[Mapping[str, Sequence[float]]] = ()
    folds: FoldMap | None = None
    notes: Sequence[str] = ()
    command: str = ""
    files: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class _LegendEntry:
    name: str
    color: str
    glyph: str
    share: str


def render_map_page(page: MapPage) -> str:
    """Render a page as HTML that needs no other file and makes no request."""
    scores = None if page.assessment is None else read_scores(page.assessment)
    environment = Environment(
        loader=PackageLoader("landvisor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("map_page.html").render(
        page=page,
        scores=scores,
        entries=_list_entries(page),
        pictures=_draw_pictures(page),
        charts=[] if scores is None else _draw_scores(scores, page.legend),
        areas=_draw_areas(page),
        history=_draw_history(page),
        units=_name_units(page.assessment),
        statement=_write_statement(scores, page.assessment),
        evidence=_draw_evidence(page),
        notes=[*page.notes, *([] if scores is None else scores.notes)],
    )


def _list_entries(page: MapPage) -> list[_LegendEntry]:
    return [
        _LegendEntry(
            name=c.name,
            color=c.color,
            glyph=mark_glyph(position),
            share=f"{page.shares[c.id]:.1%}".replace("%", "\u202f%") if c.id in page.shares else "",
        )
        for position, c in enumerate(page.legend.active)
    ]


def _draw_pictures(page: MapPage) -> list[Picture]:
    names = ", ".join(page.legend.names)
    count = 0 if page.marks is None else len(page.marks.labels)
    places = f"Image with {count} labelled places" if count else "Image"
    pictures = [
        make_picture(
            draw_scene(page.rgb, page.marks, legend=page.legend),
            alt=f"The mapped image{f' with {count} labelled places on it' if count else ''}.",
            caption=places,
        ),
        make_picture(
            draw_map(page.classes, page.legend),
            alt=f"The map of the same area in the colours of its classes: {names}.",
            caption="Map",
        ),
    ]
    if page.uncertainty is not None:
        pictures.append(_draw_uncertainty(page.uncertainty))
    return pictures


def _draw_uncertainty(uncertainty: NDArray[np.floating]) -> Picture:
    known = uncertainty[np.isfinite(uncertainty)]
    typical = f" Its median is {np.median(known):.2f}." if known.size else ""
    return make_picture(
        draw_uncertainty(uncertainty),
        alt=f"Uncertainty of the map from 0, dark, to 1, bright.{typical}",
        caption="Uncertainty of the model, as normalised entropy. It is not an error rate.",
    )


def _draw_scores(scores: Scores, legend: Legend) -> list[Picture]:
    names = [row.name for row in scores.classes]
    colors = {c.name: c.color for c in legend.classes}
    worst = min(scores.classes, key=lambda row: np.nan_to_num(row.f1.value, nan=2.0))
    bars = draw_class_bars(
        np.array([row.f1.value for row in scores.classes]),
        np.array([row.f1.interval for row in scores.classes]),
        names=names,
        colors=[colors.get(name, "#888888") for name in names],
    )
    charts = [
        make_picture(
            bars,
            alt=f"F1 of each class with its interval; lowest for {worst.name}: {worst.f1.text}.",
            caption=f"F1 by class with intervals of {100 * scores.level:.0f} %.",
        )
    ]
    if len(names) <= _MOST_CELLS:
        charts.append(
            make_picture(
                draw_confusion(scores.counts, names),
                alt="Confusion matrix: places by class of the reference (rows) and of the map.",
                caption="Places by reference class (rows) and mapped class (columns). "
                "Shading is the share of the row.",
            )
        )
    return charts


def _name_units(assessment: Mapping[str, Any] | None) -> str:
    """Name what the bootstrap resampled."""
    kind = ((assessment or {}).get("separation") or {}).get("kind", "blocks")
    return {"scenes": "scenes", "groups": "groups of scenes", "random": "features"}.get(
        kind, "spatial blocks"
    )


def _write_statement(scores: Scores | None, assessment: Mapping[str, Any] | None) -> str:
    if scores is None or assessment is None or "separation" not in assessment:
        return ""
    return write_statement(scores, assessment)


def _draw_evidence(page: MapPage) -> list[Picture]:
    """Draw how places were held out, and what is known of the probabilities there."""
    pictures = [] if page.folds is None else [_draw_fold_map(page.folds)]
    calibration = (page.assessment or {}).get("calibration")
    return pictures + ([] if calibration is None else picture_calibration(calibration))


def _draw_fold_map(folds: FoldMap) -> Picture:
    held = int((folds.fold == folds.shown).sum())
    count = len(np.unique(folds.fold))
    blocks = " White lines part the blocks that are held out as one." if folds.cells else ""
    return make_picture(
        draw_folds(folds),
        alt=f"{len(folds.fold)} labelled places in {count} folds, and what fold "
        f"{folds.shown + 1} holds out: {held} places, with a buffer of {folds.told} around them.",
        caption=f"Left: labelled places by the fold that holds them out.{blocks} Right: one fold. "
        f"Its {held} places are classified by a model that learned from the black ones alone; "
        f"{int(folds.dropped.sum())} within {folds.told} of them are left out.",
    )


def _draw_areas(page: MapPage) -> Picture | None:
    if not page.shares:
        return None
    classes = page.legend.active
    shares = np.array([page.shares.get(c.id, 0.0) for c in classes])
    spoken = ", ".join(f"{c.name} {s:.1%}" for c, s in zip(classes, shares, strict=True))
    figure = draw_areas(shares, names=page.legend.names, colors=[c.color for c in classes])
    return make_picture(
        figure,
        alt=f"Share of mapped pixels: {spoken}.",
        caption="Counted pixels of the map. Map errors bias such counts, so they are no "
        "estimate of area.",
    )


def _draw_history(page: MapPage) -> Picture | None:
    if not any(len(values) for values in page.history.values()):
        return None
    return make_picture(
        draw_history(page.history, others=page.other_histories),
        alt=f"Learning curves of {', '.join(page.history)}.",
        caption="What was measured in each epoch at places of validation; the dot marks the best."
        + (" Thin lines are the other members." if page.other_histories else ""),
    )
