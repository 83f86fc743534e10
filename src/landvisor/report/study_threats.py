"""What may make a study's conclusions wrong, in sentences filled from its facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scipy import stats

from landvisor.phrases import say_count
from landvisor.report.document import Number, Styled, Text, join_texts
from landvisor.report.study_numbers import show_count, show_fact
from landvisor.report.study_values import Plain, StudyPage

_NEAR = 0.02  # of an image's side: nearer than that, two images touch


def list_threats(page: StudyPage) -> tuple[Text, ...]:
    """Return a paragraph for each threat that there is, the surest first."""
    found = ((title, threat(page)) for title, threat in _THREATS.items())
    return tuple(join_texts((Styled(f"{title}.", "strong"), said)) for title, said in found if said)


def _tell_runs(page: StudyPage) -> Text:
    lacking = [run for run in page.runs if run.state != "done"]
    if not lacking:
        return ""
    return (show_count(page, "done"), " of ", show_count(page), " runs are done. The analysis uses "
            "only seeds that are complete, and arms with runs: what is missing may not be missing "
            "at random, as a setting that makes training fail is one of the findings.")  # fmt: skip


def _tell_seeds(page: StudyPage) -> Text:
    count = len(page.seeds)
    if count < 2:
        return ("There is one seed: nothing here says what another draw of points or another "
                "training would give.")  # fmt: skip
    low, high = stats.chi2.ppf([0.975, 0.025], count - 1)
    reach = [(float(count - 1) / limit) ** 0.5 for limit in (low, high)]
    return (
        f"{count} seeds. A standard deviation over so few is itself uncertain: the true one lies "
        f"between {reach[0]:.2f} and {reach[1]:.2f} times the one that is stated, with 95 % "
        "confidence if values are normally distributed."
    )


def _tell_test(page: StudyPage) -> Text:
    scored = Number(f"{page.scored:,}", page.scored, {"from": "scored"})
    claims = page.spec["hypothesis"]
    on_val = [claim["name"] for claim in claims if claim["split"] == "val"]
    text: list[Text] = [
        scored, " runs of this database were scored on a test split. None chose its epoch, its "
        "weights or a setting on it. Whoever now picks the best of "
        f"{say_count(len(page.analysed), 'arm')} by these figures does: the best of several looks "
        "better than it is.",
    ]  # fmt: skip
    if on_val:
        text.append(f" Judged on validation images, which also chose the epochs: "
                    f"{', '.join(on_val)}.")  # fmt: skip
    return join_texts(text, between="")


def _tell_points(page: StudyPage) -> Text:
    how = [run.choices["points"] for run in page.of_each_arm().values()]
    drawn = [points for points in how if points["strategy"] != "masks"]
    if not drawn:
        return ""
    disturbed = any(points["noise"] or points["jitter"] for points in drawn)
    errors = (
        "Some were moved or mislabelled on purpose, at random, which is not how people err."
        if disturbed
        else "They are right wherever the mask is right, also at borders, where people err most."
    )
    only = "" if len(drawn) == len(how) else f" in {len(drawn)} of {len(how)} arms"
    return (
        f"Points were placed by an oracle{only}: chance drew them from the masks. {errors} People "
        "also choose where to click; results with real points may differ."
    )


def _tell_masks(page: StudyPage) -> Text:
    borders = [how["border"] for how in page.spec["scoring"].values() if how["border"]]
    checked = " A scoring without the pixels at borders is in the tables." if borders else ""
    return f"Masks are taken for the truth; errors of theirs count as errors of the maps.{checked}"


def _tell_split(page: StudyPage) -> Text:
    splits = page.facts["splits"]
    said: list[Text] = ["The split is the one that comes with the data. "]
    shared = page.facts.get("shared_groups")
    if not any(here["groups"] for here in splits.values()):
        said.append("Its images have no groups, so that nothing keeps test images from lying "
                    "beside training images.")  # fmt: skip
    elif shared:
        said += [show_fact(page.facts, "shared_groups"), " of its groups have images in more than "
                 "one split: test images have kin among those that were learned from."]  # fmt: skip
    elif shared == 0:
        said.append("No group of images has a part in two splits.")
    touching = count_touching(page.facts)
    if touching is not None:
        said.append(f" {touching[0]} of {touching[1]} test images touch a training image: there, "
                    "test and training see the same ground.")  # fmt: skip
    return join_texts(said, between="")


def _tell_images(page: StudyPage) -> Text:
    effects = [verdict["effect"] for verdict in page.analysis["verdicts"]]
    tests = {effect["test"] for effect in effects}
    if tests == {"seeds"}:
        return ("Hypotheses were tested by seeds alone: they are about these test images, and say "
                "nothing of others.")  # fmt: skip
    units = max(int(effect["units"]) for effect in effects)
    return (
        f"Hypotheses were tested with {units} test images or groups of them, drawn as if "
        "independent. Images of one place, flight or day are alike; as far as they are, intervals "
        "are too narrow."
    )


def _tell_subset(page: StudyPage) -> Text:
    data = page.spec["data"]
    subset = {role: n for role, n in data["subset"].items() if n}
    said = []
    if subset:
        said.append("A subset of the images was used "
                    f"({', '.join(f'{n} of {role}' for role, n in subset.items())}); with more, "
                    "effects may be others.")  # fmt: skip
    if data["size"]:
        size = " × ".join(map(str, data["size"]))
        said.append(f"Images were reduced to {size} pixels, which takes fine detail away.")
    return " ".join(said)


def _tell_variant(page: StudyPage) -> Text:
    if page.variant:
        return (f"This is the variant “{page.variant}” of the study; the study as it stands may "
                "come out otherwise.")  # fmt: skip
    return ""


def _tell_tuning(page: StudyPage) -> Text:
    return (
        f"No setting was tuned for any of the {len(page.arms)} arms: what is no factor is the same "
        "for all, and an arm for which it is unfortunate looks worse than it could. All of it is "
        "one collection of images and one implementation."
    )


def _tell_changes(page: StudyPage) -> Text:
    count = len(page.analysis["changes"])
    if not count:
        return ""
    return (f"Hypotheses or analysis were changed {say_count(count, 'time')} after the first run, "
            "when results may have been known; see the section on changes.")  # fmt: skip


def _tell_machines(page: StudyPage) -> Text:
    mixed = [note for note in page.analysis["notes"] if note.startswith("runs were computed with")]
    return f"{'; '.join(mixed)[:1].upper()}{'; '.join(mixed)[1:]}." if mixed else ""


_THREATS: dict[str, Callable[[StudyPage], Text]] = {
    "Missing runs": _tell_runs,
    "Changed after the first run": _tell_changes,
    "Seeds": _tell_seeds,
    "Use of the test split": _tell_test,
    "Points by an oracle": _tell_points,
    "Masks": _tell_masks,
    "Split": _tell_split,
    "Dependence of images": _tell_images,
    "Subset": _tell_subset,
    "Variant": _tell_variant,
    "No tuning": _tell_tuning,
    "Different machines": _tell_machines,
}


def count_touching(facts: Plain) -> tuple[int, int] | None:
    """Return how many test images touch a training image, and how many there are."""
    known = facts.get("footprints")
    if not known:
        return None
    boxes: dict[str, list[Sequence[float]]] = {"train": [], "test": []}
    for split, *box in known["boxes"]:
        boxes.setdefault(split, []).append(box)
    touching = sum(any(_touch(test, train) for train in boxes["train"]) for test in boxes["test"])
    return touching, len(boxes["test"])


def _touch(first: Sequence[float], second: Sequence[float]) -> bool:
    room = _NEAR * max(first[2] - first[0], first[3] - first[1])
    apart = (
        max(first[0], second[0]) - min(first[2], second[2]),
        max(first[1], second[1]) - min(first[3], second[3]),
    )
    return max(apart) <= room
