"""Counts and lists read as a person would write them."""

import pytest

from landvisor.phrases import list_few, say_count


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 masks"), (1, "1 mask"), (2, "2 masks"), (2400, "2,400 masks")]
)
def test_a_noun_agrees_with_its_number(number, said):
    assert say_count(number, "mask") == said


def test_a_plural_of_its_own_is_used_for_several():
    assert [say_count(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_the_first_names_are_listed_and_the_others_counted(names, said):
    assert list_few(iter(names), shown=2) == said
