"""The formulae of a report are what the losses compute, and both renderers can show them."""

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from landvisor.learn.losses import make_loss
from landvisor.recipe import parse_recipe
from landvisor.report.document import Document, Equation, Paragraph, Section
from landvisor.report.document_pdf import render_pdf
from landvisor.report.formula import to_mathml
from landvisor.report.study_loss import describe_losses

CLASSES, PLACES = 3, 7


@pytest.fixture(scope="module")
def letters():
    """Values of all letters for some places, each an array by its indices."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(PLACES, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 1, 0, 0, 2])
    weight = torch.rand(PLACES, generator=generator, dtype=torch.float64)
    alpha = torch.tensor([0.5, 2.0, 1.25], dtype=torch.float64)
    p = torch.softmax(logits, dim=1)
    values = {
        "w": weight, "α": alpha, "y": labels, "p": p, "q": torch.eye(CLASSES)[labels],
        "K": CLASSES, "C": CLASSES, "logits": logits,
    }  # fmt: skip
    return {name: np.asarray(value) for name, value in values.items()}


class Evaluator:
    """Computes a formula's tree as a reader would, one index at a time."""

    def __init__(self, letters, gamma):
        self.letters = {**letters, "γ": np.asarray(gamma)}
        self.ranges = {"i": range(PLACES), "c": range(CLASSES)}

    def value(self, node, at):
        return getattr(self, node["kind"])(node, at)

    def sym(self, node, at):
        return at[node["text"]] if node["text"] in at else float(self.letters[node["text"]])

    def word(self, node, at):
        return float(node["text"])

    def frac(self, node, at):
        above, below = (self.value(part, at) for part in node["of"])
        return above / below

    def brackets(self, node, at):
        return self.value(node["of"], at)

    def total(self, node, at):
        index = node["index"]["text"]
        return sum(self.value(node["of"], {**at, index: k}) for k in self.ranges[index])

    def script(self, node, at):
        if node["low"] is None:
            return self.value(node["base"], at) ** self.value(node["high"], at)
        index = self.index(node["low"], at)
        name = node["base"]["text"]
        if name == "p" and len(index) == 1:
            index = (*index, int(self.letters["y"][index[0]]))
        return self.letters[name][index].item()

    def index(self, node, at):
        parts = node["of"] if node["kind"] == "row" else [node]
        return tuple(int(self.value(part, at)) for part in parts)

    def row(self, node, at):
        """Add up products; a named function takes the next factor."""
        total, product, sign, function = 0.0, 1.0, 1.0, None
        for part in node["of"]:
            if part["kind"] == "sign":
                if part["spacing"] == "binary":
                    total, product, sign = total + sign * product, 1.0, 1.0
                sign *= -1.0 if part["text"] == "−" else 1.0
            elif part["kind"] == "named":
                function = {"log": np.log}[part["text"]]
            else:
                factor = self.value(part, at)
                product *= factor if function is None else function(factor)
                function = None
        return total + sign * product


def write(recipe):
    blocks = describe_losses([parse_recipe(recipe).model_dump(mode="json")])
    return [block for block in blocks if isinstance(block, Equation)], blocks


@pytest.mark.parametrize("weighed", [True, False])
@pytest.mark.parametrize(
    ("loss", "gamma"), [("focal", 2.0), ("focal", 0.0), ("ce", 0.0), ("bce", 0.0), ("dice", 0.0),
                        ("jaccard", 0.0)],
)  # fmt: skip
def test_the_formula_gives_what_the_loss_computes(letters, loss, gamma, weighed):
    recipe = {"fit": {"loss": loss, "gamma": gamma},
              "labels": {"class_weights": "inverse" if weighed else "none"}}  # fmt: skip
    (equation,), _ = write(recipe)
    right = equation.formula["of"][2]
    found = Evaluator(letters, gamma).value(right, {})
    compute = make_loss(parse_recipe(recipe).fit, letters["α"].tolist() if weighed else None)
    given = (torch.tensor(letters[name]) for name in ("logits", "y", "w"))
    assert found == pytest.approx(compute(*given).item(), rel=1e-6)


def test_a_sum_of_losses_is_written_with_its_factors_and_each_term():
    equations, _ = write({"fit": {"loss": "ce + 0.5*dice"}})
    assert len(equations) == 3
    assert ElementTree.fromstring(to_mathml(equations[0].formula)).itertext() is not None
    text = "".join(ElementTree.fromstring(to_mathml(equations[0].formula)).itertext())
    assert text == "L=LCE+0.5LDice"


def test_letters_that_are_in_no_formula_are_not_explained():
    plain = write({"fit": {"loss": "ce"}, "labels": {"class_weights": "none"}})[1][-1]
    focused = write({"fit": {"gamma": 2.0}})[1][-1]
    assert isinstance(plain, Paragraph)
    assert not re.search("[αγqCK]", re.sub("[A-Z][a-z]+", "", plain.text))
    assert "γ is the focusing" in focused.text
    assert "α is the weight" in focused.text


def test_every_formula_is_set_by_browser_and_typst():
    losses = ("focal", "ce", "bce", "dice", "jaccard", "lovasz", "bce_dice_focal")
    recipes = [{"fit": {"loss": loss, "gamma": 2.0}} for loss in losses]
    equations = [equation for recipe in recipes for equation in write(recipe)[0]]
    for equation in equations:
        assert ElementTree.fromstring(to_mathml(equation.formula)).tag == "math"
    document = Document("test", "all", "", (), (Section("all", tuple(equations)),))
    assert render_pdf(document, date=datetime(2026, 1, 1, tzinfo=UTC)).startswith(b"%PDF-")
