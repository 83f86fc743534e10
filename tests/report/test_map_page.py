import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from landvisor.accuracy.assess import assess_places
from landvisor.accuracy.design import Design
from landvisor.accuracy.frame import Stratum
from landvisor.report.map_page import MapPage, render_map_page


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def _read(html):
    reader = _Reader()
    reader.feed(html)
    assert not reader.open
    return reader.tags


@pytest.fixture
def assessment(legend):
    reference = np.array([1] * 10 + [3] * 10)
    predicted = np.array([1] * 8 + [3] * 12)
    block = np.tile(np.arange(5), 4)
    statement = "at labelled places, 5 outer spatial folds"
    return assess_places(
        reference, predicted, legend=legend, statement=statement, block=block, resamples=50
    ).to_dict()


@pytest.fixture
def page(legend, rgb, classes, uncertainty, marks, assessment):
    return MapPage(
        title="dunes <script>alert(1)</script>",
        summary="A summary.",
        legend=legend,
        rgb=rgb,
        classes=classes,
        uncertainty=uncertainty,
        marks=marks,
        assessment=assessment,
        shares={1: 0.5, 3: 0.5},
        training=[("Model", "instant"), ("Points", "3")],
        history={"loss": [2.0, 1.0]},
        notes=("Nothing <is> sure.",),
        command="landvisor map a.tif b.gpkg --out c/",
        files=[("map.tif", "classes")],
    )


@pytest.fixture
def html(page):
    return render_map_page(page)


def test_the_page_holds_all_it_shows(html):
    for tag, attributes in _read(html):
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"https?://|@import|url\(", html)


def test_every_image_says_in_words_what_it_shows(html):
    images = [attributes for tag, attributes in _read(html) if tag == "img"]
    assert len(images) == 7
    assert all(len(image["alt"]) > 20 for image in images)


def test_names_from_files_are_escaped(html):
    assert "<script>" not in html
    assert "<b>rock</b>" not in html
    assert "sand &amp; &lt;b&gt;rock&lt;/b&gt;" in html
    assert "Nothing &lt;is&gt; sure." in html


def test_the_headline_has_figure_interval_and_what_it_is_about(html, assessment):
    low, high = assessment["intervals"]["oa"]
    assert '<div class="figure-big">0.90</div>' in html
    assert f"95 % interval {low:.2f} to {high:.2f}" in html
    assert "18 of the 20 reference places were classified right" in html
    assert "at labelled places, 5 outer spatial folds" in html
    assert "nor the area of any class" in html
    assert "50 bootstrap draws over 5 spatial blocks" in html


def test_a_class_row_has_its_rates(html):
    row = re.search(r'<th scope="row">water</th>.*?</tr>', html, re.S).group()
    values = re.findall(r"<td>\s*([\d.–]+)", row)
    assert values == ["10", "1.00", "0.80", "0.89", "0.80"]


def test_training_command_files_and_notes_are_on_the_page(html):
    for text in ("instant", "landvisor map a.tif b.gpkg --out c/", "map.tif", "Read this first"):
        assert text in html


def test_the_assessments_own_notes_are_shown(html, assessment):
    assert assessment["notes"]
    assert all(note in html for note in assessment["notes"])


def test_a_missing_assessment_is_stated_in_words(legend, rgb, classes):
    html = render_map_page(MapPage(title="bare", legend=legend, rgb=rgb, classes=classes))
    assert "This map was not assessed." in html
    assert "Overall accuracy" not in html
    assert len([tag for tag, _ in _read(html) if tag == "img"]) == 2


def test_an_assessment_without_intervals_says_so(legend, rgb, classes):
    bare = assess_places(
        np.array([1, 1, 1]), np.array([1, 1, 3]), legend=legend, statement="at labelled places"
    )
    page = MapPage(title="x", legend=legend, rgb=rgb, classes=classes, assessment=bare.to_dict())
    html = render_map_page(page)
    assert "No interval could be given." in html
    assert "bootstrap draws" not in html
    assert "nan" not in re.sub(r'"data:[^"]*"', "", html)


def test_equal_values_give_an_equal_page(page, html):
    assert render_map_page(page) == html


def test_a_random_sample_of_the_map_is_told_with_the_areas(page, legend):
    size = len(legend.ids)
    counts = np.zeros((1, size, size), dtype=np.int64)
    counts[0, :2, :2] = [[40, 5], [3, 52]]
    design = Design(
        kind="simple",
        source="the whole map",
        strata=(Stratum("map", 10_000, 1_000_000.0),),
        counts=counts,
        ids=legend.ids,
        names=legend.names,
        mapped=(4300, 5700, *[0] * (size - 2)),
        nested=False,
    )
    known = page.assessment | {
        "counts": counts[0].tolist(),
        "classes": [{"id": i, "name": n} for i, n in zip(legend.ids, legend.names, strict=True)],
        "rates": {k: None if v != v else v for k, v in design.rates().items()},
        "intervals": {},
        "design": design.to_dict(),
    }
    html = render_map_page(replace(page, assessment=known))
    assert "Overall accuracy of the map" in html
    assert "The reference is a simple random sample of the map." in html
    assert "This figure holds at labelled places" not in html
    assert "45.0 ha (" in html
    assert "<td>0.430</td><td>0.450" in html
