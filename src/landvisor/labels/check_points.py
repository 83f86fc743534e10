"""What is wrong with labelled places: losses, class shares, conflicts, isolated errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from landvisor.errors import LandvisorError
from landvisor.geo.legend import Legend
from landvisor.geo.locate import locate
from landvisor.geo.places import Places
from landvisor.geo.points import Points, read_points
from landvisor.geo.scene import Scene
from landvisor.labels.findings import Finding, Level
from landvisor.labels.suspects import Suspect, Votes, find_suspects, vote_on
from landvisor.options import Options
from landvisor.phrases import list_few, say_count

FEW = 5
_UNEVEN = 20
_RANKED = 10


@dataclass(frozen=True)
class CheckedPoints:
    """What was found of points.

    Attributes:
        findings: In the order of the checks.
        legend: The classes; None where the points could not be read and none was given.
        places: Usable places; None where there are none.
        points: The points as read; None where they could not be.
        suspects: Features that look like another class, the surest first.
    """

    findings: tuple[Finding, ...]
    legend: Legend | None = None
    places: Places | None = None
    points: Points | None = None
    suspects: tuple[Suspect, ...] = ()


def check_points(
    path: Path | str,
    scenes: Sequence[Scene],
    *,
    legend: Legend | None = None,
    options: Options | None = None,
    background: int = 0,
    distance: float = 2.0,
) -> CheckedPoints:
    """Check labelled points on scenes; nothing that a user gave makes this raise.

    Args:
        path: A points file or a folder of them.
        scenes: Scenes that can be read.
        legend: The classes; the points' own by default.
        options: How files are read.
        background: Random negatives per scene that the run will draw.
        distance: Pixels within which places of different classes are told.
    """
    how = options or Options()
    found: list[Finding] = []
    try:
        read = read_points(
            path, class_column=how.class_column, crs=how.crs, legend=legend,
            presence_only=background > 0,
        )  # fmt: skip
        found.append(Finding("ok", f"{say_count(len(read), 'feature')}; {read.notes[0]}"))
        found += [Finding("note", note) for note in read.notes[1:]]
        located = locate(read, scenes)
    except LandvisorError as error:
        return CheckedPoints((*found, Finding("problem", str(error))), legend)
    places = located.train
    found += [Finding("note", note) for note in located.notes if note not in read.notes]
    found += check_classes(places.label, read.legend, background=background)
    found += check_distance(places, scenes, legend=read.legend, distance=distance)
    said, suspects = check_isolated(places, scenes, read.legend)
    return CheckedPoints((*found, *said), read.legend, places, read, suspects)


def check_classes(
    label: NDArray[np.int64], legend: Legend, *, background: int = 0
) -> list[Finding]:
    """Check how places are shared among classes.

    Args:
        label: Class id of each usable place `[n]`.
        legend: The classes.
        background: Random negatives per scene, which make a second class.
    """
    counts = {c.name: int((label == c.id).sum()) for c in legend.active}
    present = {name: count for name, count in counts.items() if count}
    listed = ", ".join(f"{name} {count:,}" for name, count in present.items())
    found = [Finding("ok", f"{say_count(len(label), 'usable place')}: {listed or 'none'}")]
    if not present:
        return [*found, Finding("problem", "no place is left to learn from; see the notes")]
    if len(present) == 1 and not background:
        hint = "label another class, or draw random negatives with --background 200"
        found.append(Finding("problem", f"all places have one class; need two: {hint}"))
    few = [f"{name} {count}" for name, count in present.items() if count < FEW]
    absent = [name for name, count in counts.items() if not count]
    most, least = max(present.values()), min(present.values())
    said = (
        (
            few,
            f"fewer than {FEW} places: {list_few(few)}; label more, or merge classes in the legend",
        ),
        (
            absent,
            f"classes of the legend without a place, never predicted right: {list_few(absent)}",
        ),
        (most > _UNEVEN * least, f"the largest class has {most / least:.0f} times the smallest"),
    )
    return found + [Finding("note", text) for occurs, text in said if occurs]


def check_distance(
    places: Places, scenes: Sequence[Scene], *, legend: Legend, distance: float
) -> list[Finding]:
    """Check for places of different classes that lie nearer than positions may be accurate.

    Args:
        places: Usable places, not two in one pixel.
        scenes: The scenes that `places` counts.
        legend: Their classes.
        distance: Largest distance that is told, in pixels; 0 tells none.
    """
    near = find_near(places, distance) if distance > 0 else {}
    if not near:
        return []
    names = {c.id: c.name for c in legend.classes}
    rows = []
    for (first, second), apart in sorted(near.items(), key=lambda pair: (pair[1], pair[0])):
        row, col = places.coords[first].round(1).tolist()
        rows.append({
            "scene": scenes[int(places.scene[first])].name, "row": row, "col": col,
            "classes": [names[int(places.label[i])] for i in (first, second)],
            "points_rows": [int(places.index[i]) for i in (first, second)],
            "distance": round(apart, 2),
        })  # fmt: skip
    shown = (
        f"{' and '.join(r['classes'])} at row {r['row']:g} col {r['col']:g} of {r['scene']}"
        for r in rows
    )
    pairs = say_count(len(rows), "pair")
    text = f"{pairs} of places of different classes within {distance:g} pixels of each other"
    return [Finding("note", f"{text}: {list_few(shown)}", tuple(rows))]


def find_near(places: Places, distance: float) -> dict[tuple[int, int], float]:
    """Find for each place the nearest one of another class, where that is near.

    Returns:
        The distance in pixels by the positions of both, the lower first.
    """
    found: dict[tuple[int, int], float] = {}
    for scene in np.unique(places.scene):
        here = np.flatnonzero(places.scene == scene)
        for label in np.unique(places.label[here]):
            own, others = _part(here, places.label[here] == label)
            if not len(others):
                continue
            tree = cKDTree(places.coords[others])
            apart, nearest = tree.query(
                places.coords[own], distance_upper_bound=np.nextafter(distance, np.inf)
            )
            for i in np.flatnonzero(np.isfinite(apart)):
                pair = sorted((int(own[i]), int(others[nearest[i]])))
                found[pair[0], pair[1]] = float(apart[i])
    return found


def check_isolated(
    places: Places, scenes: Sequence[Scene], legend: Legend
) -> tuple[list[Finding], tuple[Suspect, ...]]:
    """Check for features whose neighbours in colour and texture have another class.

    Returns:
        A note where there are any, and what they are.
    """
    try:
        votes = vote_on(places, scenes)
    except LandvisorError as error:
        return [Finding("problem", str(error))], ()
    if votes is None:
        return [], ()
    suspects = find_suspects(votes)
    level: Level = "ok" if votes.telling else "note"
    found = [Finding(level, _describe_agreement(votes, legend))]
    if suspects:
        names = {c.id: c.name for c in legend.classes}
        rows = tuple(_row(suspect, scenes, names) for suspect in suspects)
        shown = (f"row {r['points_row']} ({r['class']}, like {r['neighbours_say']})" for r in rows)
        features = say_count(len(rows), "feature")
        text = f"{features} like another class, by row from 0 of the points file"
        found.append(Finding("note", f"{text}: {list_few(shown, shown=_RANKED)}", rows))
    return found, suspects


def suspect_points(points: Points, suspects: Sequence[Suspect], legend: Legend) -> Points:
    """Keep the suspect features, the surest first, with what their neighbours say.

    Args:
        points: The points as read.
        suspects: Of these points.
        legend: The classes.

    Returns:
        Points with two more columns, `neighbours_say` and `score`.
    """
    names = {c.id: c.name for c in legend.classes}
    frame = points.frame.iloc[[suspect.index for suspect in suspects]].assign(
        neighbours_say=[names[suspect.says] for suspect in suspects],
        score=[suspect.score for suspect in suspects],
    )
    return Points(frame, legend, points.notes)


def _describe_agreement(votes: Votes, legend: Legend) -> str:
    named = [c.name for c in legend.classes if c.id in votes.apart]
    text = (
        f"{100 * votes.agreement:.0f} % of {say_count(int(votes.judged.sum()), 'feature')} have "
        "the class of those most like them in colour and texture, "
        f"{100 * votes.chance:.0f} % would by chance"
    )
    if votes.compared < votes.total:
        text += f" ({votes.compared:,} of {votes.total:,} places were compared)"
    where = f"would show in {list_few(named)}" if named else "would show in no class"
    text = f"{text}; an isolated error {where}"
    return text if votes.telling else f"{text}: what a place looks like tells little of its class"


def _row(suspect: Suspect, scenes: Sequence[Scene], names: dict[int, str]) -> dict[str, Any]:
    row, col = suspect.coords
    return {
        "points_row": suspect.index, "class": names[suspect.label],
        "neighbours_say": names[suspect.says], "score": round(suspect.score, 3),
        "scene": scenes[suspect.scene].name, "row": round(row, 1), "col": round(col, 1),
    }  # fmt: skip


def _part(
    values: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return values[chosen], values[~chosen]
