"""The report in a real browser, on a phone's width and on a screen's, light and dark."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from faceid_cli.report import report_page

_SPEC = importlib.util.spec_from_file_location("report_browser", Path(__file__).with_name("browser.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
browser = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(browser)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium is installed")]

TOO_WIDE = """[...document.querySelectorAll('body *')]
    .filter(e => !e.closest('.wide table') && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName)"""
SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll('p, dd, figcaption, td, code, footer')]
    .map(e => parseFloat(getComputedStyle(e).fontSize)),
    ...[...document.querySelectorAll('svg')]
        .map(e => 12 * e.getBoundingClientRect().width / e.viewBox.baseVal.width))"""
# Contrast as WCAG 2 has it, of each text with the first opaque background below it.
CONTRAST = """(() => {
    const light = c => c.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const below = e => { const c = getComputedStyle(e).backgroundColor;
        return c.endsWith(', 0)') && e.parentElement ? below(e.parentElement) : c; };
    const texts = [...document.querySelectorAll('h1, h2, h3, p, dt, dd, figcaption, th, td, code, footer')];
    return Math.min(...texts.map(e => {
        const [a, b] = [light(getComputedStyle(e).color), light(below(e))].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05); }));
})()"""


def test_a_report_is_sound_and_readable(content, tmp_path) -> None:
    file = tmp_path / "report.html"
    file.write_text(report_page(content), encoding="utf-8")
    with browser.Browser(tmp_path / "profile") as page:
        for width, scheme in ((390, "light"), (390, "dark"), (1280, "light")):
            page.open(file, width, scheme=scheme)
            loaded = page.value("[...document.images].map(i => i.complete && i.naturalWidth > 0)")
            assert loaded == [True] * 9
            assert page.value("innerWidth") == width
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value(TOO_WIDE) == []
            assert page.value(SMALLEST_TEXT) >= 11
            assert page.value(CONTRAST) >= 4.5
            assert page.value("document.scripts.length") == 0
            assert page.complaints() == []
            assert page.requests() == [file.as_uri()]
            assert page.value("document.querySelectorAll('svg polyline').length") == 4
