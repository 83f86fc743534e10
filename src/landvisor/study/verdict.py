"""What becomes of a hypothesis, by the rule that its file fixed."""

from __future__ import annotations

from landvisor.study.effects import find_detectable
from landvisor.study.results import Effect, Verdict
from landvisor.study.spec import HypothesisSpec

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"


def judge(
    claim: HypothesisSpec, effect: Effect, *, confidence: float, changed: bool = False
) -> Verdict:
    """Judge a hypothesis by its interval, against 0 and the smallest effect of interest.

    For `greater`, with the interval [l, h] and the smallest effect of interest δ:

    - `exceeds_zero`: supported where l > 0 and h ≥ δ; refuted where h < δ, as an effect of δ is
      then ruled out (or, with δ = 0, where h < 0).
    - `exceeds_smallest`: supported where l > δ; refuted where h < δ.

    `less` is the same for the effect with its sign turned. `different` is supported where the
    interval leaves out 0 (or, with `exceeds_smallest`, all of −δ to δ) and reaches beyond −δ or δ;
    refuted where it lies wholly between −δ and δ. Everything else is undecided. Where p was
    corrected for several hypotheses and is not below 1 − confidence, nothing is supported.

    Args:
        claim: The hypothesis.
        effect: What was found.
        confidence: Of the interval.
        changed: The hypothesis is not what it was at the first run.
    """
    found, reason = _decide(claim, effect)
    limit = 1 - confidence
    if found == SUPPORTED and effect.p_corrected is not None and effect.p_corrected >= limit:
        found = UNDECIDED
        reason += f"; but p is {effect.p_corrected:.3g} once corrected for all hypotheses"
    detectable = find_detectable(effect, confidence=confidence) if found == UNDECIDED else None
    return Verdict(
        name=claim.name,
        text=claim.text,
        direction=claim.direction,
        smallest=claim.smallest,
        rule=claim.rule,
        effect=effect,
        verdict=found,
        reason=reason,
        detectable=detectable,
        changed=changed,
    )


def _decide(claim: HypothesisSpec, effect: Effect) -> tuple[str, str]:
    if effect.low is None or effect.high is None:
        return UNDECIDED, "no interval can be given: " + ("; ".join(effect.notes) or "too few runs")
    interval = f"the interval is {effect.low:.4f} to {effect.high:.4f}"
    if claim.direction == "different":
        found = _decide_different(claim, effect.low, effect.high)
    elif claim.direction == "greater":
        found = _decide_greater(claim, effect.low, effect.high)
    else:
        found = _decide_greater(claim, -effect.high, -effect.low)
    return found, f"the effect is {effect.estimate:.4f}, {interval}, {_say_rule(claim, found)}"


def _decide_greater(claim: HypothesisSpec, low: float, high: float) -> str:
    bar = claim.smallest if claim.rule == "exceeds_smallest" else 0.0
    if high < claim.smallest:
        return REFUTED
    return SUPPORTED if low > bar else UNDECIDED


def _decide_different(claim: HypothesisSpec, low: float, high: float) -> str:
    smallest = claim.smallest
    if -smallest < low and high < smallest:
        return REFUTED
    bar = smallest if claim.rule == "exceeds_smallest" else 0.0
    return SUPPORTED if low > bar or high < -bar else UNDECIDED


def _say_rule(claim: HypothesisSpec, found: str) -> str:
    size = f"{claim.smallest:g}"
    if found == UNDECIDED:
        bar = "0" if claim.rule == "exceeds_zero" else size
        return (
            f"which neither leaves out {bar} nor rules out the smallest effect of interest {size}"
        )
    if found == REFUTED:
        return f"which rules out an effect of {size}, the smallest of interest, as claimed"
    bar = "0" if claim.rule == "exceeds_zero" else f"{size}, the smallest effect of interest"
    return f"which leaves out {bar} in the claimed direction"
