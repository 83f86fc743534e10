"""What a study's results mean: effects, verdicts, and whether the loss ranks the arms."""

from __future__ import annotations

import re
from collections.abc import Sequence

from landvisor.report.canvas import figure_to_svg
from landvisor.report.document import (
    Block,
    Bullets,
    Number,
    Paragraph,
    Picture,
    Styled,
    Table,
    Text,
    join_texts,
)
from landvisor.report.study_figures import draw_ranks
from landvisor.report.study_numbers import (
    UNKNOWN,
    say_p,
    say_value,
    show_effect,
    show_found,
    show_interval,
)
from landvisor.report.study_results import show_title
from landvisor.report.study_values import Plain, StudyPage


def describe_outcome(page: StudyPage) -> tuple[Block, ...]:
    """Return verdicts, effects of factors and interactions, and the ranking by loss."""
    return (
        _tabulate_verdicts(page),
        Bullets(tuple(_say_verdict(page, k) for k in range(len(page.analysis["verdicts"])))),
        *_tabulate_factors(page),
        *_tabulate_interactions(page),
        *_describe_ranking(page),
        *_list_notes(page),
    )


def say_verdict_briefly(page: StudyPage, position: int) -> Text:
    """Say what became of a hypothesis, with its effect and interval."""
    verdict = page.analysis["verdicts"][position]
    path, effect = f"verdicts/{position}", verdict["effect"]
    said: list[Text] = [
        Styled(verdict["verdict"].capitalize(), verdict["verdict"]),
        f": {verdict['text']} The effect on {page.say_measure(effect['measure'])} is ",
        show_effect(f"{path}/effect", effect),
        f" ({100 * page.analysis['confidence']:g} % interval ",
        show_interval(f"{path}/effect", effect, signed=True),
        f"; smallest effect of interest {verdict['smallest']:g}).",
    ]
    if verdict["changed"]:
        said.append(" The claim or its rule was changed after the first run.")
    return join_texts(said, between="")


def _say_verdict(page: StudyPage, position: int) -> Text:
    verdict = page.analysis["verdicts"][position]
    path = f"verdicts/{position}"
    reason = _print_minus(verdict["reason"])
    said: list[Text] = [
        Styled(verdict["name"], "strong"), ": ",
        Styled(verdict["verdict"], verdict["verdict"]), ", as ",
        Number(reason, verdict["reason"], {"from": "analysis", "path": f"{path}/reason"}), ".",
    ]  # fmt: skip
    if verdict["detectable"] is not None:
        said += [" With this standard error an effect of ",
                 show_found(f"{path}/detectable", verdict["detectable"]),
                 " would be found 8 times in 10."]  # fmt: skip
    if verdict["changed"]:
        said.append(" The claim or its rule was changed after the first run.")
    return join_texts(said, between="")


def _print_minus(text: str) -> str:
    """Write negative numbers of a sentence with a real minus."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def _tabulate_verdicts(page: StudyPage) -> Table:
    rows: list[tuple[Text, ...]] = []
    for k, verdict in enumerate(page.analysis["verdicts"]):
        path, effect = f"verdicts/{k}/effect", verdict["effect"]
        compared = f"{show_title(effect['title'])}; {page.say_measure(effect['measure'])}"
        rows.append((
            verdict["name"], compared, *_show_cells(path, effect),
            Styled(verdict["verdict"], verdict["verdict"]),
        ))  # fmt: skip
    return Table(
        "Hypotheses and what became of them.",
        ("hypothesis", "compared", *_head(page), "verdict"),
        tuple(rows),
        ("left", "left", "right", "right", "right", "right", "left"),
    )


def _head(page: StudyPage) -> tuple[str, ...]:
    corrected = page.spec["analysis"]["correction"] == "holm"
    interval = f"{100 * page.analysis['confidence']:g} % interval"
    return ("effect", interval, "p", "p, Holm" if corrected else "p, corrected")


def _show_cells(path: str, effect: Plain) -> tuple[Text, ...]:
    corrected = effect["p_corrected"]
    return (
        show_effect(path, effect),
        show_interval(path, effect, signed=True),
        UNKNOWN if effect["p"] is None
        else show_found(f"{path}/p", effect["p"], say_p(effect["p"])),
        UNKNOWN if corrected is None
        else show_found(f"{path}/p_corrected", corrected, say_p(corrected)),
    )  # fmt: skip


def _tabulate_effects(page: StudyPage, caption: str, found: Sequence[tuple[str, Plain]]) -> Table:
    rows = tuple(
        (show_title(effect["title"]), *_show_cells(path, effect)) for path, effect in found
    )
    return Table(caption, ("compared", *_head(page)), rows)


def _tabulate_factors(page: StudyPage) -> tuple[Block, ...]:
    found = [
        (f"factors/{k}/effects/{n}", effect)
        for k, factor in enumerate(page.analysis["factors"])
        for n, effect in enumerate(factor["effects"])
    ]
    if not found:
        return ()
    said = page.say_measure(page.main)
    others = {
        "full": "averaged over the other factors",
        "one-at-a-time": "with all other factors at their first level",
        "paired": "arm against arm",
    }[page.spec["design"]]
    caption = f"Effects on {said}: each level against the first of its factor, {others}."
    return (_tabulate_effects(page, caption, found),)


def _tabulate_interactions(page: StudyPage) -> tuple[Block, ...]:
    found = [
        (f"interactions/{k}/effects/{n}", effect)
        for k, pair in enumerate(page.analysis["interactions"])
        for n, effect in enumerate(pair["effects"])
    ]
    if not found:
        return ()
    caption = (
        f"Interactions by {page.say_measure(page.main)}: how far the effect of one factor differs "
        "between levels of another. 0 is no interaction."
    )
    return (_tabulate_effects(page, caption, found),)


def _describe_ranking(page: StudyPage) -> tuple[Block, ...]:
    ranking = page.analysis["loss_ranking"]
    if ranking is None:
        return ()
    said = ranking["sentence"]
    lead = Number(_print_minus(f"{said[0].upper()}{said[1:]}"), said,
                  {"from": "analysis", "path": "loss_ranking/sentence"})  # fmt: skip
    blocks: list[Block] = [Paragraph(("Does the loss rank the arms? ", lead, "."))]
    arms = ranking["arms"]
    if not arms:
        return tuple(blocks)
    metric = page.say_measure(ranking["measure"])
    blocks.append(_tabulate_ranks(arms, metric))
    figure = draw_ranks([arm["arm"] for arm in arms], [arm["loss_rank"] for arm in arms],
                        [arm["value_rank"] for arm in arms], metric=metric)  # fmt: skip
    blocks.append(Picture(
        figure_to_svg(figure), "svg", alt=f"Ranks of {len(arms)} arms by loss and by {metric}.",
        caption=f"Arms ranked by their final training loss (left, 1 is the lowest) and by {metric} "
        "(right, 1 is the highest). Lines that cross are arms that the loss has in the wrong "
        "order.", width=0.85,
    ))  # fmt: skip
    return tuple(blocks)


def _tabulate_ranks(arms: Sequence[Plain], metric: str) -> Table:
    rows: list[tuple[Text, ...]] = []
    for k, arm in enumerate(arms):
        path = f"loss_ranking/arms/{k}"
        rows.append((
            arm["arm"],
            show_found(f"{path}/loss", arm["loss"], say_value(arm["loss"], digits=5)),
            show_found(f"{path}/loss_rank", arm["loss_rank"], f"{arm['loss_rank']:g}"),
            show_found(f"{path}/value", arm["value"]),
            show_found(f"{path}/value_rank", arm["value_rank"], f"{arm['value_rank']:g}"),
        ))  # fmt: skip
    return Table(
        "Final training loss and the metric, mean over seeds, and the rank of each. Losses of "
        "different α, γ or kind are in different units: only their order is examined, since that "
        "is what somebody who ranks by loss relies on.",
        ("arm", "final loss", "rank by loss", metric, "rank"),
        tuple(rows),
    )


def _list_notes(page: StudyPage) -> tuple[Block, ...]:
    """List what the tests had to say of their effects, each sentence once."""
    tables = [*page.analysis["factors"], *page.analysis["interactions"]]
    effects = [e for table in tables for e in table["effects"]]
    effects += [verdict["effect"] for verdict in page.analysis["verdicts"]]
    notes = dict.fromkeys(note for effect in effects for note in effect["notes"])
    if not notes:
        return ()
    return (Paragraph(f"Notes of the tests: {'; '.join(notes)}."),)
