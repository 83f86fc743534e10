"""Sums of losses are read by a small strict grammar, or refused in one clear line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from landvisor.errors import RecipeError
from landvisor.loss_sum import LOSS_NAMES, parse_loss, say_loss, takes_smoothing
from landvisor.recipe import Recipe

FACTORS = st.floats(min_value=1e-12, max_value=1e12)
SUMS = st.lists(st.sampled_from(LOSS_NAMES), min_size=1, unique=True).flatmap(
    lambda names: st.tuples(*(st.tuples(FACTORS, st.just(name)) for name in names))
)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ce", ((1.0, "ce"),)),
        ("ce + 0.5*dice", ((1.0, "ce"), (0.5, "dice"))),
        (" .25 *lovasz+2* focal ", ((0.25, "lovasz"), (2.0, "focal"))),
        ("bce_dice_focal", ((1.0, "bce_dice_focal"),)),
    ],
)
def test_a_sum_is_read_as_factors_and_names(text, terms):
    assert parse_loss(text) == terms


@given(terms=SUMS)
def test_what_is_written_is_read_back(terms):
    assert parse_loss(say_loss(terms)) == terms


@given(text=st.text(alphabet="ce+*.0 5di(-", max_size=12))
def test_any_text_is_a_sum_or_refused_in_one_line(text):
    message = ""
    try:
        assert parse_loss(say_loss(parse_loss(text))) == parse_loss(text)
    except RecipeError as error:
        message = str(error)
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    ["", "ce +", "+ ce", "cee", "CE", "ce - dice", "-1*ce", "1e-3*ce", "2*(ce + dice)", "ce*2",
     "2 ce", "2*3*ce", "ce dice", "nan*ce", "__import__('os')", "ce\n+ dic"],
)  # fmt: skip
def test_what_is_no_sum_of_known_losses_is_refused_with_their_names(text):
    with pytest.raises(RecipeError) as caught:
        Recipe().with_values({"fit.loss": text})
    message = str(caught.value)
    assert "fit.loss" in message
    assert "\n" not in message
    assert ", ".join(LOSS_NAMES) in message
    assert "'ce + 0.5*dice'" in message


@pytest.mark.parametrize(
    ("text", "why"),
    [("ce + 0*dice", "factor of 0"), (f"{'9' * 400}*ce", "finite"), ("ce + 2*ce", "'ce' twice")],
)
def test_terms_that_would_do_nothing_or_all_are_refused(text, why):
    with pytest.raises(RecipeError, match=why):
        parse_loss(text)


def test_equal_sums_make_equal_recipes_however_they_are_typed():
    typed = [Recipe().with_values({"fit.loss": text}) for text in ("ce+.5*dice", "ce + 0.50 *dice")]
    assert typed[0].fit.loss == typed[1].fit.loss == "ce + 0.5*dice"
    assert typed[0].digest() == typed[1].digest() != Recipe().digest()


def test_smoothing_without_a_term_that_takes_it_is_refused():
    assert Recipe().with_values({"fit.loss": "ce + dice", "fit.label_smoothing": 0.1})
    assert takes_smoothing(parse_loss("dice + bce"))
    for loss in ("dice", "jaccard + lovasz"):
        with pytest.raises(RecipeError, match=r"label_smoothing.*compares sets"):
            Recipe().with_values({"fit.loss": loss, "fit.label_smoothing": 0.1})
        assert Recipe().with_values({"fit.loss": loss}).fit.label_smoothing == 0
    with pytest.raises(RecipeError, match=r"fit\.loss"):
        Recipe().with_values({"fit.loss": "dcie", "fit.label_smoothing": 0.1})
