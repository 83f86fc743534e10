"""How a study's effects are tested and its hypotheses judged, in words."""

from __future__ import annotations

from collections.abc import Sequence

from landvisor.report.document import Block, Bullets, Paragraph, Text
from landvisor.report.study_values import Plain, StudyPage

_TESTS = {
    "seeds": "paired by seed on these images: the standard deviation over seeds of the difference, "
    "divided by the root of their number, with Student's t. It holds for other seeds on the same "
    "images.",
    "images": "a bootstrap of {draws:,} draws over images, or over groups of images where there "
    "are six or more, the same draws for all arms, with these seeds. It holds for other images "
    "and these very trainings.",
    "seeds_and_images": "the variance of the difference over seeds (paired) is added to its "
    "variance over images (a bootstrap of {draws:,} draws of images, or of groups of images where "
    "there are six or more, the same draws for all arms), with degrees of freedom after "
    "Satterthwaite (1946). It holds for other seeds and other images. What both see is counted "
    "twice, so the interval is a little wide.",
    "mixed": "a mixed model of the metric within images, with image, seed, run and image by arm as "
    "random effects, by restricted maximum likelihood (Pinheiro and Bates 2000). Its estimate is "
    "of the mean over images and not of pooled counts.",
}
_REFERENCES = {
    "Satterthwaite": "Satterthwaite, F. E. (1946). An approximate distribution of estimates of "
    "variance components. doi:10.2307/3002019",
    "Holm": "Holm, S. (1979). A simple sequentially rejective multiple test procedure. "
    "Scandinavian Journal of Statistics 6, 65–70.",
    "bootstrap": "Efron, B. and Tibshirani, R. J. (1993). An Introduction to the Bootstrap, "
    "chapter 6.",
    "Pinheiro": "Pinheiro, J. C. and Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS.",
    "Bloom": "Bloom, H. S. (1995). Minimum detectable effects. "
    "doi:10.1177/0193841X9501900504",
    "Lin et al.": "Lin, T.-Y. et al. (2017). Focal loss for dense object detection. "
    "doi:10.1109/ICCV.2017.324",
    "Bishop": "Bishop, C. M. (2006). Pattern Recognition and Machine Learning.",
    "Milletari": "Milletari, F., Navab, N. and Ahmadi, S.-A. (2016). V-Net. "
    "doi:10.1109/3DV.2016.79",
    "Rahman": "Rahman, M. A. and Wang, Y. (2016). Optimizing intersection-over-union in deep "
    "neural networks for image segmentation. doi:10.1007/978-3-319-50835-1_22",
    "Berman": "Berman, M., Rannen Triki, A. and Blaschko, M. B. (2018). The Lovász-Softmax loss. "
    "doi:10.1109/CVPR.2018.00464",
    "Spearman": "Spearman, C. (1904). The proof and measurement of association between two "
    "things. doi:10.2307/1412159",
}  # fmt: skip


def describe_statistics(page: StudyPage) -> tuple[Block, ...]:
    """Say how intervals, p-values and verdicts come about."""
    how = page.spec["analysis"]
    used = dict.fromkeys([*(claim["test"] for claim in page.spec["hypothesis"]), how["test"]])
    tests: list[Text] = [
        f"Test “{name}”: {_TESTS[name].format(draws=how['resamples'])}" for name in used
    ]
    text = (
        "An effect is a difference of arms in units of the metric: of single runs with the same "
        "seed, averaged over seeds, and over the combinations of all factors that it does not "
        f"name. Intervals have a confidence of {100 * how['confidence']:g} %."
    )
    return (Paragraph(text), Bullets(tuple(tests)), *_describe_verdicts(page))


def _describe_verdicts(page: StudyPage) -> tuple[Block, ...]:
    claims = page.spec["hypothesis"]
    text = "A hypothesis is supported, refuted or undecided by a rule that was fixed with it."
    text += _say_rules(claims)
    text += (
        " Everything else is undecided; then the effect is stated that a test with the standard "
        "error found detects 8 times in 10 (Bloom 1995)."
    )
    corrected = page.spec["analysis"]["correction"] == "holm"
    many = (
        "Where a table has several effects, or a study several hypotheses, p is corrected for "
        "their number after Holm (1979); a hypothesis whose corrected p is not below "
        f"{1 - page.spec['analysis']['confidence']:.2g} is not supported. Intervals are not "
        "widened for it."
        if corrected
        else "p is not corrected for the number of comparisons."
    )
    return (Paragraph(text), Paragraph(many))


def _say_rules(claims: Sequence[Plain]) -> str:
    directed = [claim for claim in claims if claim["direction"] != "different"]
    open_ended = [claim for claim in claims if claim["direction"] == "different"]
    said = ""
    if directed:
        said += (
            f" A directed claim is supported if the interval lies beyond {_say_bar(directed)} in "
            "the claimed direction, and refuted if it rules out an effect of the smallest size of "
            "interest."
        )
    if open_ended:
        said += (
            " A claim of a difference is supported if the interval leaves out "
            f"{_say_bar(open_ended)} on either side, and refuted if it lies wholly within the "
            "smallest effect of interest."
        )
    return said


def _say_bar(claims: Sequence[Plain]) -> str:
    bars = {claim["rule"] for claim in claims}
    if len(bars) > 1:
        return "0 or, where the table of hypotheses says so, the smallest effect of interest"
    return "0" if bars == {"exceeds_zero"} else "the smallest effect of interest"


def list_references(text: str) -> tuple[Text, ...]:
    """List the publications that a report's text names."""
    return tuple(said for word, said in sorted(_REFERENCES.items()) if word in text)
