"""What the report of a bundle takes from a model's card."""

from landvisor.card import Card
from landvisor.recipe import Recipe
from landvisor.report.bundle_page import find_histories


def make_card(**values):
    return Card(kind="network", classes=(), bands=(), dtype="uint8", mean=(), std=(),
                recipe=Recipe(), **values)  # fmt: skip


def test_the_learning_curves_of_all_members_are_found():
    first, second = {"loss": [2.0, 1.0]}, {"loss": [3.0]}
    pair = make_card(training={"history": second}, extra={"members": [
        {"card": make_card(training={"history": first}).model_dump(mode="json")}]})  # fmt: skip
    several = make_card(
        extra={"members": [
            {"card": make_card(training={"history": first}).model_dump(mode="json")},
            {"card": pair.model_dump(mode="json")},
            {"card": make_card().model_dump(mode="json")},
        ]}
    )  # fmt: skip
    assert list(find_histories(several)) == [first, second]
    assert list(find_histories(make_card())) == []
