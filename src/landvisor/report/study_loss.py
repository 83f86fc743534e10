"""The loss of a study's recipes as a formula, term by term, with what its letters stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from landvisor.loss_sum import parse_loss
from landvisor.report.document import Block, Equation, Paragraph
from landvisor.report.formula import (
    Formula,
    brackets,
    frac,
    minus,
    named,
    row,
    script,
    sym,
    total,
    word,
)
from landvisor.report.study_values import Plain

_P = script(sym("p"), low=sym("i"))
_P_C = script(sym("p"), low=row(sym("i"), sym("c")))
_Q_C = script(sym("q"), low=row(sym("i"), sym("c")))
_W = script(sym("w"), low=sym("i"))
_NAMES = {
    "focal": "focal", "ce": "CE", "bce": "BCE", "dice": "Dice", "jaccard": "Jaccard",
    "lovasz": "Lovász",
}  # fmt: skip
_SOURCES = {
    "focal": "Lin et al. (2017), eq. 5, with a softmax and normalised by the weights of places",
    "bce": "Bishop (2006), eq. 4.90, one class against the rest, with the softmax's probabilities",
    "dice": "Milletari et al. (2016), with plain sums in the denominator",
    "jaccard": "Rahman and Wang (2016)",
    "lovasz": "Berman et al. (2018), eq. 8, 9 and 11",
}


@dataclass(frozen=True)
class LossCase:
    """How a recipe's loss is written.

    Attributes:
        loss: The sum of losses, as in `ce + 0.5*dice`.
        focused: Some arm has a gamma above 0.
        weighed: Some arm weighs classes, or has a scalar alpha that acts.
    """

    loss: str
    focused: bool
    weighed: bool


def describe_losses(recipes: Sequence[Plain]) -> tuple[Block, ...]:
    """Return the formula of each loss that recipes of networks name, and its letters."""
    cases = {name: _find_case(name, recipes) for name in dict.fromkeys(map(_name, recipes))}
    blocks: list[Block] = []
    for case in cases.values():
        if len(cases) > 1:
            blocks.append(Paragraph(f"With the loss “{case.loss}”:"))
        blocks += _write(case)
    names = [part for case in cases.values() for part in _list_terms(case.loss)]
    blocks.append(Paragraph(_say_letters(set(names), list(cases.values()))))
    return tuple(blocks)


def _name(recipe: Plain) -> str:
    return str(recipe["fit"]["loss"])


def _find_case(name: str, recipes: Sequence[Plain]) -> LossCase:
    here = [recipe for recipe in recipes if _name(recipe) == name]
    return LossCase(
        name,
        focused=any(recipe["fit"]["gamma"] > 0 for recipe in here),
        weighed=any(_weighs(recipe) for recipe in here),
    )


def _weighs(recipe: Plain) -> bool:
    fit = recipe["fit"]
    scaled = fit["alpha"] is not None and not fit["normalise_alpha"]
    return scaled or recipe["labels"]["class_weights"] != "none"


def _list_terms(loss: str) -> list[str]:
    names = [name for _, name in parse_loss(loss)]
    return [part for name in names for part in _parts(name)]


def _parts(name: str) -> list[str]:
    return ["bce", "dice", "focal"] if name == "bce_dice_focal" else [name]


def _write(case: LossCase) -> list[Block]:
    terms = [(factor, part) for factor, name in parse_loss(case.loss) for part in _parts(name)]
    if len(terms) == 1:
        return [_equation("L", _TERMS[terms[0][1]](case), terms[0][1])]
    parts: list[Formula | str] = []
    for factor, name in terms:
        parts += ["+"] if parts else []
        parts += [] if factor == 1 else [word(f"{factor:g}")]
        parts.append(script(sym("L"), low=word(_NAMES[name])))
    lead = Equation(row(sym("L"), "=", *parts), f"The loss is {case.loss}.")
    return [lead, *(_equation("L", _TERMS[name](case), name, low=name) for _, name in terms)]


def _equation(letter: str, formula: Formula, name: str, *, low: str = "") -> Equation:
    left = script(sym(letter), low=word(_NAMES[low])) if low else sym(letter)
    return Equation(row(left, "=", formula), f"The loss {name} over labelled places.")


def _alpha(case: LossCase, index: Formula) -> list[Formula | str]:
    return [script(sym("α"), low=index)] if case.weighed else []


def _label() -> Formula:
    return script(sym("y"), low=sym("i"))


def _write_focal(case: LossCase) -> Formula:
    focus = [script(brackets(word("1"), "−", _P), high=sym("γ"))] if case.focused else []
    return _average(case, *focus, brackets(minus(), named("log"), _P))


def _write_ce(case: LossCase) -> Formula:
    return _average(case, brackets(minus(), named("log"), _P))


def _average(case: LossCase, *parts: Formula | str) -> Formula:
    above = total("i", _W, *_alpha(case, _label()), *parts)
    return frac(above, total("i", _W))


def _write_bce(case: LossCase) -> Formula:
    rest = brackets(word("1"), "−", _P_C)
    inner = brackets(
        _Q_C, named("log"), _P_C, "+", brackets(word("1"), "−", _Q_C), named("log"), rest
    )
    return _average(case, frac(row(minus(), word("1")), sym("K")), total("c", inner))


def _write_set(case: LossCase, share: Formula) -> Formula:
    lost = row(*_alpha(case, sym("c")), brackets(word("1"), "−", share))
    return row(frac(word("1"), sym("C")), total("c", lost))


def _write_dice(case: LossCase) -> Formula:
    both = row(word("2"), total("i", _W, _P_C, _Q_C))
    return _write_set(case, frac(both, row(total("i", _W, _P_C), "+", total("i", _W, _Q_C))))


def _write_jaccard(case: LossCase) -> Formula:
    either = total("i", _W, brackets(_P_C, "+", _Q_C, "−", _P_C, _Q_C))
    return _write_set(case, frac(total("i", _W, _P_C, _Q_C), either))


def _write_lovasz(case: LossCase) -> Formula:
    errors = row("|", _Q_C, "−", _P_C, "|")
    lost = row(*_alpha(case, sym("c")), script(sym("Δ"), low=sym("c")), brackets(errors))
    return row(frac(word("1"), sym("C")), total("c", lost))


_TERMS: dict[str, Callable[[LossCase], Formula]] = {
    "focal": _write_focal,
    "ce": _write_ce,
    "bce": _write_bce,
    "dice": _write_dice,
    "jaccard": _write_jaccard,
    "lovasz": _write_lovasz,
}


def _say_letters(names: set[str], cases: Sequence[LossCase]) -> str:
    said = ["Here i runs over the labelled places of a batch and over nothing else: an unlabelled "
            "pixel is in no sum. w is the confidence of a place"]  # fmt: skip
    if names & {"focal", "ce"}:
        said.append("p with one index is the softmax probability of the place's own class y")
    if names - {"focal", "ce"}:
        said.append("p with two indices is the softmax probability of class c, and q is 1 where c "
                    "is the place's class, else 0")  # fmt: skip
    if "bce" in names:
        said.append("K is the number of classes")
    if names & {"dice", "jaccard", "lovasz"}:
        said.append("C is the number of classes that have a place in the batch")
    if "lovasz" in names:
        said.append("Δ is the Lovász extension of 1 − IoU of a class")
    if any(case.weighed for case in cases):
        said.append("α is the weight of a class, times the scalar alpha where that is not divided "
                    "out")  # fmt: skip
    if any(case.focused and "focal" in _list_terms(case.loss) for case in cases):
        said.append("γ is the focusing")
    drawn = [_SOURCES[name] for name in _SOURCES if name in names]
    source = f" After {'; '.join(drawn)}." if drawn else ""
    return "; ".join(said) + "." + source
