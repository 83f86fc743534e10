"""The method section of a study's report: task, data, labels, model, scores and statistics."""

from __future__ import annotations

from collections.abc import Sequence

from landvisor.phrases import say_count
from landvisor.report.canvas import figure_to_svg
from landvisor.report.document import (
    Block,
    Equation,
    Number,
    Pairs,
    Paragraph,
    Picture,
    Section,
    Styled,
    Table,
    Text,
)
from landvisor.report.formula import frac, row, word
from landvisor.report.study_loss import describe_losses
from landvisor.report.study_maps import Footprint, draw_splits
from landvisor.report.study_numbers import (
    UNKNOWN,
    join_runs,
    say_date,
    show_fact,
    show_seconds,
)
from landvisor.report.study_settings import find_settled, tabulate_settings, trains_network
from landvisor.report.study_statistics import describe_statistics
from landvisor.report.study_values import Plain, StudyPage

_TEACHERS = {
    "auto": "what landvisor chooses by the data",
    "average": "the network whose weights are averaged along training (a mean teacher)",
    "instant": "an instant model, by its soft probabilities",
    "both": "an instant model and the network of averaged weights",
}
_STRATEGIES = {
    "random": "{n} pixels per image at random",
    "per_class": "{n} pixels of each class that is present, per image",
    "per_object": "one pixel of each connected patch of a class",
    "grid": "a pixel at every {n}th row and column",
    "clustered": "{n} pixels per image in clusters",
    "budget": "{n} pixels per image, shared among classes",
    "masks": "every labelled pixel of the masks",
}


def describe_method(page: StudyPage) -> Section:
    """Return the whole section."""
    return Section(
        "Method",
        sections=(
            Section("Task", _describe_task(page)),
            Section("Data and splits", _describe_data(page)),
            Section("Labels", _describe_labels(page)),
            Section("Loss", _describe_loss(page)),
            Section("Model, training and prediction", (tabulate_settings(page),)),
            Section("Scores", _describe_scores(page)),
            Section("Statistics", describe_statistics(page)),
            Section("Hardware, software and time", _describe_machine(page)),
        ),
    )


def say_collection(facts: Plain) -> str:
    """Name the data of a study."""
    named = facts["collection"]
    return named if isinstance(named, str) else ", ".join(named)


def _describe_task(page: StudyPage) -> tuple[Block, ...]:
    facts, data = page.facts, page.spec["data"]
    bands = say_count(len(facts["bands"]), "band")
    size = " × ".join(map(str, facts["image_size"]))
    resized = ", averaged to that size, masks by majority," if data["size"] else ""
    learned = sum(bool(c["scored"]) for c in facts["classes"])
    whole = page.spec["points"]["strategy"] == "masks"
    places = "every labelled pixel" if whole else "single places"
    text = (
        f"Images of {bands} ({', '.join(facts['bands'])}) and {size} pixels{resized} are "
        f"classified pixel by pixel into {learned} classes. A model is fitted to labels at "
        f"{places} of training images; {_say_chosen(page)} on validation images; every test image "
        "is then mapped whole and held against its mask."
    )
    blocks: list[Block] = [Paragraph(text)]
    if (data["test_gain"], data["test_offset"]) != (1.0, 0.0):
        blocks.append(Paragraph(
            f"Values of the test images were multiplied by {data['test_gain']:g} and "
            f"{data['test_offset']:g} was added before they were mapped."
        ))  # fmt: skip
    return (*blocks, _tabulate_classes(page))


def _say_chosen(page: StudyPage) -> str:
    """Say what validation chooses: the epoch too, unless arms keep their last one."""
    kept = {run.choices["recipe"]["fit"].get("keep", "best") for run in page.of_each_arm().values()}
    if kept == {"last"}:
        return "weights of averaged models, and no epoch, are chosen"
    only = ", except in arms that keep their last epoch," if "last" in kept else ","
    return f"the epoch{only} and weights where models are averaged, are chosen"


def _tabulate_classes(page: StudyPage) -> Table:
    rows: list[tuple[Text, ...]] = []
    for each in page.facts["classes"]:
        name = each["name"]
        pixels = [_show_pixels(page, split, name) for split in ("val", "test")]
        role = "scored" if each["scored"] else "not scored"
        rows.append(((Styled(each["color"], "swatch"), f" {name}"), str(each["id"]), role, *pixels))
    return Table(
        "Classes, and pixels of them in the masks that scores are counted on.",
        ("class", "id", "role", "pixels in val", "pixels in test"),
        tuple(rows),
        ("left", "right", "left", "right", "right"),
    )


def _show_pixels(page: StudyPage, split: str, name: str) -> Text:
    known = page.pixels.get(split, {})
    if name not in known:
        return UNKNOWN
    source = {"from": "pixels", "split": split, "class": name}
    return Number(f"{known[name]:,}", known[name], source)


def _describe_data(page: StudyPage) -> tuple[Block, ...]:
    subset = {role: n for role, n in page.spec["data"]["subset"].items() if n}
    used = "All images of the collection are used." if not subset else (
        "A subset is used, evenly spaced in the order of the collection: "
        f"{', '.join(f'{n} images of {role}' for role, n in subset.items())}."
    )  # fmt: skip
    rows: list[tuple[Text, ...]] = []
    for role, here in page.facts["splits"].items():
        groups: Text = show_fact(page.facts, f"splits/{role}/groups") if here["groups"] else "none"
        rows.append((role, show_fact(page.facts, f"splits/{role}/images"), groups,
                     show_fact(page.facts, f"splits/{role}/labelled_pixels")))  # fmt: skip
    table = Table(
        "Images by split. Labelled pixels are those of the masks at their own resolution, classes "
        "that are not scored aside.",
        ("split", "images", "groups", "labelled pixels"),
        tuple(rows),
    )
    said = f"The data are those of {say_collection(page.facts)}. {used}{_say_cleaning(page)}"
    return (Paragraph(said), table, *_map_splits(page))


def _say_cleaning(page: StudyPage) -> str:
    left = {arm: len(r.choices.get("left_out", ())) for arm, r in page.of_each_arm().items()}
    if not any(left.values()):
        return ""
    most = max(left.values())
    return (
        f" Outliers were looked for; {say_count(most, 'image')} found so were not learned from "
        f"in {sum(bool(n) for n in left.values())} of {len(left)} arms, and scored all the same."
    )


def _map_splits(page: StudyPage) -> tuple[Block, ...]:
    known = page.facts.get("footprints")
    if not known:
        return ()
    places = [Footprint(split, *map(float, box)) for split, *box in known["boxes"]]
    figure = draw_splits(places, unit=known["unit"])
    here = [name for name in ("train", "val", "test") if any(p.split == name for p in places)]
    said = {name: sum(p.split == name for p in places) for name in here}
    return (Picture(
        figure_to_svg(figure), "svg",
        alt=f"Map of the images by split: {', '.join(f'{n} {k}' for k, n in said.items())}.",
        caption=f"Where the images of each split lie, in {known['unit']}.", width=0.62,
    ),)  # fmt: skip


def _describe_labels(page: StudyPage) -> tuple[Block, ...]:
    how = [run.choices["points"] for run in page.of_each_arm().values()]
    text = (
        f"Labels: {_say_draws(how)}. Points are drawn from the masks of training and "
        "validation images at the masks' own resolution, once per seed, and carried to the size "
        "of the images as coordinates. They stand for an analyst's clicks; no analyst made them."
    )
    if all(points["strategy"] == "masks" for points in how):
        text = "Labels: every labelled pixel of the masks of training images."
    return (Paragraph(text), _tabulate_places(page))


def _tabulate_places(page: StudyPage) -> Table:
    return Table(
        "Points drawn on training images, their share of the labelled pixels of the training "
        "masks, and places that the kept model learned from: means over seeds. The last are fewer "
        "where points share a pixel, and more where labels are linked or grown, or where a model "
        "is fitted again to training and validation together.",
        ("arm", "points", "share", "places learned from"),
        tuple(_row_of_places(page, arm) for arm in page.analysed),
    )


def _say_draws(how: Sequence[Plain]) -> str:
    """Say how points are drawn, once for all arms that differ in their number alone."""
    numbers: dict[str, tuple[Plain, dict[int, None]]] = {}
    for points in how:
        alike = repr({key: value for key, value in points.items() if key != "n"})
        numbers.setdefault(alike, (points, {}))[1][points["n"]] = None
    said = []
    for points, counts in numbers.values():
        n = " or ".join(map(str, sorted(counts)))
        said.append(_say_points(points, n) + (", by arm" if len(counts) > 1 else ""))
    return "; or, by arm, ".join(dict.fromkeys(said))


def _say_points(points: Plain, n: str = "") -> str:
    n = n or str(points["n"])
    said = _STRATEGIES[points["strategy"]].format(n=n)
    if points["per"] == "split":
        said = f"{n} pixels of each class on all training images together"
    if points["rim"]:
        said += f", none within {points['rim']} pixels of no-data"
    if points["jitter"]:
        said += f", moved by about {points['jitter']:g} pixels"
    if points["noise"]:
        said += f", {100 * points['noise']:g} % of them with another class"
    return said


def _row_of_places(page: StudyPage, arm: str) -> tuple[Text, ...]:
    points = _show_places(page, arm, "labels/train")
    places = _show_places(page, arm, "training/places")
    if not isinstance(points, Number) or not isinstance(points.value, float):
        return (arm, UNKNOWN, UNKNOWN, places)
    share = points.value / page.facts["splits"]["train"]["labelled_pixels"]
    text = f"{100 * share:#.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
    return (arm, points, Number(text, share, {**points.source, "stat": "share"}), places)


def _show_places(page: StudyPage, arm: str, path: str) -> Text:
    """Return a count of the facts of an arm's runs, averaged over seeds."""
    part, _, name = path.partition("/")
    runs = page.runs_of(arm)
    counts = [run.facts.get(part, {}).get(name) for run in runs]
    if not counts or None in counts:
        return UNKNOWN
    mean = sum(counts) / len(counts)
    source = {"from": "places", "runs": join_runs(runs), "path": path, "stat": "mean"}
    return Number(f"{mean:,.0f}", mean, source)


def _describe_loss(page: StudyPage) -> tuple[Block, ...]:
    runs = page.of_each_arm()
    known = {arm: (page.runs_of(arm) or [run])[0] for arm, run in runs.items()}
    nets = {arm: run.choices["recipe"] for arm, run in known.items() if trains_network(run)}
    if not nets:
        text = "No arm trains a network: trees or a small classifier are fitted to features of "
        return (Paragraph(f"{text}the labelled places, and no loss over an image is minimised."),)
    blocks = list(describe_losses(list(nets.values())))
    sources = [
        find_settled(page, arm).get("teacher.source", recipe["teacher"]["source"])
        for arm, recipe in nets.items()
    ]
    blocks.append(Paragraph(_say_unlabelled(sources)))
    return tuple(blocks)


def _say_unlabelled(sources: Sequence[str]) -> str:
    said = [_TEACHERS[source] for source in dict.fromkeys(sources) if source != "none"]
    if not said:
        return "Unlabelled pixels teach nothing: this is the whole loss."
    where = "In arms with a teacher, beside" if "none" in sources else "Beside"
    return (
        f"{where} it stands a term for pixels without a label, with a denominator of its own; what "
        f"teaches them is {', or '.join(said)}."
    )


def _describe_scores(page: StudyPage) -> tuple[Block, ...]:
    iou = row(word("IoU"), "=", frac(word("TP"), row(word("TP"), "+", word("FP"), "+", word("FN"))))
    metrics = ", ".join(page.titles[name] for name in page.spec["analysis"]["metrics"])
    text = (
        f"Reported are {metrics}. Pixels of all images of a split are counted in one confusion "
        "matrix per run; for a class, TP are pixels that mask and map both call so, FP those that "
        "only the map does, FN those that only the mask does. A mean is over the scored classes "
        "that the masks have; a class that they lack is left out and counts as neither 0 nor 1."
    )
    blocks: list[Block] = [Paragraph(text), Equation(iou, "IoU is TP over TP plus FP plus FN.")]
    extra = page.spec["scoring"]
    if extra:
        rows = tuple((f"“{name}”", _say_scoring(how)) for name, how in extra.items())
        blocks += [Paragraph("That is the standard scoring. Others were counted besides:"),
                   Pairs(rows)]  # fmt: skip
    return tuple(blocks)


def _say_scoring(how: Plain) -> str:
    said = {
        "masks": "held against the masks",
        "points": f"held against points alone ({_say_points(how['points'])})",
        "linked": "held against what linking drawn points labels, by area "
        f"{how['link']['area']} up to {how['link']['distance']:g} pixels",
    }[how["reference"]]
    if how["classes"]:
        said += f"; classes {', '.join(how['classes'])}"
    if how["count_others"]:
        said += "; pixels of all other classes count as errors of the class predicted there"
    if how["per_image"]:
        said += "; rates of each image are averaged"
    if how["absent"] != "left_out":
        said += f"; a class that is neither there nor predicted counts as {how['absent']}"
    if how["border"]:
        said += f"; pixels within {how['border']} of a border between classes are left out"
    return f"{said}."


def _describe_machine(page: StudyPage) -> tuple[Block, ...]:
    runs = page.done
    versions: dict[str, str] = {}
    for name in dict.fromkeys(key for run in runs for key in run.versions):
        found = dict.fromkeys(str(run.versions.get(name)) for run in runs)
        versions[name] = " | ".join(found)
    told = ("device", "threads", "machine", "system")
    software = ", ".join(f"{k} {v}" for k, v in versions.items() if k not in told)
    sizes = sorted({int(run.facts["parameters"]) for run in runs if "parameters" in run.facts})
    parameters = f"{sizes[0]:,}" if sizes else UNKNOWN
    parameters += f" to {sizes[-1]:,}" if len(sizes) > 1 else ""
    rows: list[tuple[str, Text]] = [
        ("device", f"{versions.get('device', UNKNOWN)}, threads per run: "
         f"{versions.get('threads', UNKNOWN)}, {versions.get('system', '')} "
         f"{versions.get('machine', '')}"),
        ("software", software),
        ("numbers in a model", parameters),
        ("time of fits", (show_seconds(runs, "fit_seconds", "sum"), " in all, ",
                          show_seconds(runs, "fit_seconds", "mean"), " each")),
        ("time of maps", (show_seconds(runs, "predict_seconds", "sum"), " in all, ",
                          show_seconds(runs, "predict_seconds", "mean"), " per run")),
        ("runs done", f"{say_date(page.first_run)} to {say_date(page.last_run)}"),
    ]  # fmt: skip
    return (Pairs(tuple(rows)),)
