import json

import numpy as np
import pytest

from landvisor.accuracy.assess import assess_places
from landvisor.accuracy.assessment import Assessment
from landvisor.errors import AssessmentError
from landvisor.geo.legend import legend_from_names

LEGEND = legend_from_names(["bare sand", "grass", "water"])


@pytest.fixture
def assessment():
    generator = np.random.default_rng(0)
    reference = generator.integers(1, 3, 120)
    predicted = np.where(generator.random(120) < 0.8, reference, 1)
    return assess_places(
        reference,
        predicted,
        legend=LEGEND,
        statement="at labelled places, 5 outer spatial folds",
        block=np.arange(120) // 8,
        resamples=200,
        notes=["Places are convenience points."],
    )


def test_json_round_trip_keeps_everything(assessment):
    text = json.dumps(assessment.to_dict(), allow_nan=False)
    again = Assessment.from_dict(json.loads(text))

    assert again.to_dict() == assessment.to_dict()
    np.testing.assert_array_equal(again.confusion.counts, assessment.confusion.counts)
    assert again.notes == assessment.notes
    np.testing.assert_equal(again.intervals, assessment.intervals)


def test_rates_of_an_absent_class_are_null_in_json(assessment):
    content = assessment.to_dict()

    assert content["rates"]["f1.3"] is None
    assert content["intervals"]["f1.3"] == [None, None]


def test_summary_is_one_line_with_interval_and_statement(assessment):
    line = assessment.summary()
    low, high = assessment.intervals["oa"]

    assert "\n" not in line
    assert f"({low:.3f} to {high:.3f})" in line
    assert "at labelled places, 5 outer spatial folds" in line
    assert "120 labelled" in line


def test_table_is_aligned_and_holds_classes_summary_and_notes(assessment):
    lines = assessment.table().splitlines()

    assert [line.split("  ")[0] for line in lines[1:4]] == ["bare sand", "grass", "water"]
    for title in ("reference", "map", "UA", "PA", "F1", "IoU"):
        last = lines[0].index(title) + len(title) - 1
        assert all(
            line[last] != " " and line[last + 1 : last + 2] in (" ", "") for line in lines[:4]
        )
    assert assessment.summary() in lines
    assert "note: Places are convenience points." in lines


@pytest.mark.parametrize(
    ("change", "says"), [({"format": 99}, "update landvisor"), ({"counts": None}, "damaged")]
)
def test_foreign_content_is_refused(assessment, change, says):
    with pytest.raises(AssessmentError, match=says):
        Assessment.from_dict(assessment.to_dict() | change)
