"""What a page says of an assessment is what the assessment says."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from landvisor.accuracy.assess import assess_places
from landvisor.accuracy.assessment import Assessment
from landvisor.accuracy.buffer import Sight, plan_separation
from landvisor.accuracy.calibration import measure_calibration
from landvisor.accuracy.folds import assign_folds
from landvisor.accuracy.variogram import Dependence
from landvisor.geo.places import make_places
from landvisor.report.evidence import draw_error_rates, draw_reliability, picture_calibration
from landvisor.report.fold_map import FoldMap, draw_folds
from landvisor.report.map_page import MapPage, render_map_page
from landvisor.report.scores import read_scores
from landvisor.report.statement import write_statement

SHAPE = (200, 240)


class _Text(HTMLParser):
    """Collects what is said in an element with a class."""

    def __init__(self, wanted):
        super().__init__()
        self.wanted, self.inside, self.said = wanted, False, ""

    def handle_starttag(self, tag, attrs):
        self.inside = self.inside or dict(attrs).get("class") == self.wanted

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "p"

    def handle_data(self, data):
        self.said += data if self.inside else ""


def make_assessment(legend, *, hold_out="blocks", reach=60.0, errors=0.25):
    generator = np.random.default_rng(0)
    places = make_places(
        generator.uniform(0, 199, (120, 2)), np.asarray(legend.ids)[generator.integers(0, 2, 120)]
    )
    split = assign_folds(places, shapes=[SHAPE], folds=4, seed=0, hold_out=hold_out)
    separation, _ = plan_separation(
        places, split, dependence=Dependence(reach, "variogram", 120), sight=Sight(12.0, "a test")
    )
    position = legend.to_index(places.label)
    wrong = generator.random(120) < errors
    sure = np.where(wrong, generator.uniform(0.5, 0.8, 120), generator.uniform(0.6, 1, 120))
    told = np.where(wrong, 1 - position, position)
    shares = np.where(np.arange(2) == told[:, None], sure[:, None], 1 - sure[:, None])
    stated = assess_places(
        places.label, np.asarray(legend.ids)[told], legend=legend, block=split.block,
        statement="at labelled places, 4 outer spatial folds", resamples=100,
    )  # fmt: skip
    calibration = measure_calibration(shares, position, uncertainty={"entropy": 1 - sure})
    return Assessment(**{**vars(stated), "separation": separation, "calibration": calibration})


def say(assessment):
    content = assessment.to_dict()
    return write_statement(read_scores(content), content)


@pytest.fixture
def assessment(legend):
    return make_assessment(legend)


def test_an_assessment_survives_its_file(assessment):
    again = Assessment.from_dict(assessment.to_dict())
    assert again.to_dict() == assessment.to_dict()
    assert (again.separation, again.calibration) == (assessment.separation, assessment.calibration)


def test_the_pages_statement_has_the_numbers_of_the_assessment(legend, rgb, classes, assessment):
    content = assessment.to_dict()
    html = render_map_page(
        MapPage(title="x", legend=legend, rgb=rgb, classes=classes, assessment=content)
    )
    reader = _Text("statement")
    reader.feed(html)
    rates, apart, sure = content["rates"], content["separation"], content["calibration"]

    def find(pattern):
        return re.search(pattern, reader.said).groups()

    assert find(r"at (\d+) labelled places by (\d+)-fold") == ("120", "4")
    low, high = content["intervals"]["oa"]
    assert find(r"accuracy was (\S+) \(95 % interval (\S+) to ([\d.]+)") == tuple(
        f"{value:.2f}" for value in (rates["oa"], low, high)
    )
    assert find(r"mean F1 (\S+)") == (f"{rates['mean_f1']:.2f}",)
    assert find(r"bootstrap of (\d+) units") == (str(content["reference"]["blocks"]),)
    assert find(r"within (\d+) pixels of a held-out one") == (f"{apart['taken']:.0f}",)
    assert find(r"left out (\d+) %") == (f"{100 * apart['dropped']:.0f}",)
    assert find(r"calibration error of its probabilities was ([\d.]+),") == (f"{sure['ece']:.3f}",)
    assert find(r"a chance of ([\d.]+) \(AUROC of the entropy") == (
        f"{sure['auroc']['entropy']:.2f}",
    )
    assert "estimate neither the accuracy of the map as a whole nor the area" in reader.said


def test_a_buffer_smaller_than_wanted_is_admitted(legend):
    capped = make_assessment(legend, reach=500.0)
    assert capped.separation.capped
    said = say(capped)
    assert "a buffer of 500 pixels would have left too few" in said
    assert f"{100 * capped.separation.overlap:.0f} % of the held-out places" in said
    assert "too few" not in say(make_assessment(legend, reach=13.0))


def test_random_folds_are_warned_of(legend):
    said = say(make_assessment(legend, hold_out="random"))
    assert "4-fold random cross-validation" in said
    assert "flatters a map" in said
    assert "flatters" not in say(make_assessment(legend))


def test_a_map_without_errors_detects_none(legend):
    right = make_assessment(legend, errors=0.0)
    assert right.calibration.auroc == {"entropy": None}
    assert "AUROC" not in say(right)
    assert len(picture_calibration(right.calibration.to_dict())) == 1


def test_the_reliability_diagram_draws_the_bins(assessment):
    bins = assessment.calibration.to_dict()["bins"]
    above, below = draw_reliability(bins).axes
    known = [one for one in bins if one["count"]]
    dots = next(line for line in above.lines if line.get_marker() == "o")
    np.testing.assert_allclose(dots.get_xdata(), [one["confidence"] for one in known])
    np.testing.assert_allclose(dots.get_ydata(), [one["accuracy"] for one in known])
    assert [bar.get_height() for bar in below.patches] == [one["count"] for one in bins]


def test_error_rates_are_drawn_as_they_are(assessment):
    rates = assessment.calibration.error_rates
    (axes,) = draw_error_rates(rates).axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), rates["entropy"])


def test_a_fold_map_shows_every_place_once(rgb):
    fold = np.arange(30) % 3
    generator = np.random.default_rng(0)
    dropped = (fold != 1) & (generator.random(30) < 0.3)
    figure = draw_folds(
        FoldMap(
            rgb=rgb, rows=generator.uniform(0, 19, 30), cols=generator.uniform(0, 29, 30),
            fold=fold, cells=(2, 3), shown=1, dropped=dropped, buffer=4.0, told="4 pixels",
        )
    )  # fmt: skip
    left, right = figure.axes[:2]

    def count(axes):
        return [len(part.get_offsets()) for part in axes.collections if len(part.get_offsets()) > 1]

    assert sum(count(left)) == sum(count(right)) == 30
    assert count(right) == [20 - dropped.sum(), dropped.sum(), 10]
    assert "Fold 2 held out, buffer 4 pixels" in right.get_title(loc="left")
    zone = right.images[1].get_array()[..., 3] > 0
    assert 0 < zone.sum() < zone.size
