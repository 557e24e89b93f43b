"""The report's HTML: everything inside the file, and nothing of a user's text becomes markup."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from faceid_cli.report import ReportContent, report_page
from faceid_cli.report.curves import loss_curve, smoothed
from faceid_cli.report.pictures import MOST_PX, data_uri


class Reader(HTMLParser):
    """Collects tags with attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.text += data

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def test_text_of_users_stays_text(content, hostile) -> None:
    page = Reader(report_page(content))
    assert "script" not in page.names()
    assert not [attribute for _, attributes in page.tags for attribute in attributes if attribute.startswith("on")]
    # In the note, a file name, a caption, a reason, a setting and its value, a section's note, two labels of maps, a
    # table's title and the command.
    assert page.text.count(hostile) == 11
    assert any(attributes.get("alt") == hostile for _, attributes in page.tags)


def test_pictures_are_inside_the_page_and_not_too_large(content) -> None:
    page = Reader(report_page(content))
    sources = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 9
    for attributes in sources:
        kind, data = re.fullmatch(r"data:image/(png|jpeg);base64,(.+)", attributes["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.format.lower() == kind
            assert image.size == (int(attributes["width"]), int(attributes["height"]))
            assert max(image.size) <= MOST_PX
    links = [attributes for tag, attributes in page.tags if tag in ("link", "a", "iframe", "object")]
    assert links == [{"rel": "icon", "href": "data:,"}]


def test_what_is_missing_is_said_and_the_rest_is_there() -> None:
    page = report_page(ReportContent("alice", photos_note="No photos were kept.", settings={"steps": "3"}))
    assert '<h2>Photos</h2><p class="note">No photos were kept.</p>' in page
    assert "<dt>steps</dt><dd>3</dd>" in page
    assert "<h2>Scores</h2>" not in page
    assert "<svg" not in page


def test_no_curve_of_a_loss_that_was_not_used() -> None:
    assert report_page(ReportContent("a", losses=[(0.5, 0.0), (0.4, 0.0)])).count("<svg") == 1
    assert report_page(ReportContent("a", losses=[(0.5, 0.1), (0.4, 0.2)])).count("<svg") == 2


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [0.0] * 7, [0.1 * step for step in range(3000)]])
def test_curves_stay_inside_their_frame(values) -> None:
    drawing = loss_curve(values, "loss")
    width, height = map(float, re.search(r'viewBox="0 0 (\d+) (\d+)"', drawing).groups())
    for points in re.findall(r'points="([^"]+)"', drawing):
        places = [tuple(map(float, pair.split(","))) for pair in points.split()]
        assert 2 <= len(places) <= 240
        assert all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_a_falling_loss_falls_on_the_page() -> None:
    points = re.findall(r'class="strong" points="([^"]+)"', loss_curve([1.0, 0.8, 0.6, 0.4], "loss"))[0].split()
    heights = [float(point.split(",")[1]) for point in points]
    assert heights == sorted(heights), "larger y is lower on the page"


def test_smoothing() -> None:
    assert smoothed([0.0, 3.0, 6.0, 0.0], 1) == [1.5, 3.0, 3.0, 3.0]
    assert smoothed([5.0], 4) == [5.0]


def test_small_drawings_keep_their_pixels() -> None:
    image = Image.new("RGB", (128, 128), (10, 200, 30))
    image.putpixel((5, 5), (255, 0, 0))
    uri, size = data_uri(image)
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as inside:
        assert (size, inside.tobytes()) == ((128, 128), image.tobytes())
