"""A report as one HTML file: pictures inside it, no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from faceid_cli.report.content import MapColumn, ReportContent, ReportPhoto, ReportPicture, ScoreTable
from faceid_cli.report.curves import loss_curve
from faceid_cli.report.pictures import data_uri
from faceid_cli.report.style import STYLE

MARK = '<meta name="generator" content="faceid report">'
"""Tells reports from other files."""

# Even if something got past the escaping, the page runs nothing and asks nobody for anything.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def report_page(content: ReportContent) -> str:
    """Return the report as an HTML document. Everything in the content is text and is escaped."""
    sections = [
        ("Pictures", _pictures(content.rendered), content.rendered_note),
        ("Photos", _photos(content.photos), content.photos_note),
        ("Over the training", _pictures(content.previews), content.previews_note),
        ("Where the words look", _maps(content.maps), content.maps_note),
        ("Scores", _scores(content.scores), content.scores_note),
        ("Training", _training(content), content.training_note),
        ("Once more", _command(content.command), content.command_note),
    ]
    title = f"{content.name}: how they were learned"
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            MARK,
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(title)}</title><link rel="icon" href="data:,">',
            f"<style>{STYLE}</style></head><body>",
            f"<header><h1>{escape(content.name)}</h1>{_pairs(content.facts)}</header><main>",
            *(_section(heading, body, note) for heading, body, note in sections if body or note),
            "</main>",
            f"<footer>faceid {escape(content.version)}. Samples and heat maps were made by AI; photos and crops were "
            "not. This file holds pictures of a person: treat it as you would treat those.</footer>",
            "</body></html>",
            "",
        ]
    )


def _section(heading: str, body: str, note: str) -> str:
    told = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(heading)}</h2>{told}{body}</section>"


def _pairs(entries: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in entries.items() if value)
    return f"<dl>{rows}</dl>" if rows else ""


def _photos(photos: Sequence[ReportPhoto]) -> str:
    return f'<div class="cards">{"".join(_photo(photo) for photo in photos)}</div>' if photos else ""


def _photo(photo: ReportPhoto) -> str:
    grade = {"good": "good", "fair": "fair"}.get(photo.verdict, "left")
    said = ", ".join([photo.verdict, *photo.reasons])
    return (
        f'<div class="card"><h3>{escape(photo.name)}</h3>'
        f'<p class="{grade}">{escape(said)}</p>{_pictures(photo.pictures)}</div>'
    )


def _pictures(pictures: Sequence[ReportPicture]) -> str:
    shown = "".join(_figure(picture) for picture in pictures)
    return f'<div class="pictures">{shown}</div>' if shown else ""


def _figure(picture: ReportPicture) -> str:
    uri, (width, height) = data_uri(picture.image)
    caption = escape(picture.caption)
    return (
        f'<figure><img src="{uri}" width="{width}" height="{height}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _training(content: ReportContent) -> str:
    curves = ""
    if content.losses:
        curves = _curve([pair[0] for pair in content.losses], "Reconstruction loss")
    if any(pair[1] for pair in content.losses):
        curves += _curve([pair[1] for pair in content.losses], "Face-wise attention loss, before its weight")
    cards = f'<div class="cards">{curves}</div>' if curves else ""
    settings = f"<h3>Settings</h3>{_pairs(content.settings)}" if content.settings else ""
    return cards + settings


def _curve(values: Sequence[float], label: str) -> str:
    return f'<figure class="card"><figcaption>{escape(label)}</figcaption>{loss_curve(values, label)}</figure>'


def _maps(columns: Sequence[MapColumn]) -> str:
    if not columns:
        return ""
    before = _pictures([ReportPicture(column.before, column.label) for column in columns])
    after = _pictures([ReportPicture(column.after, column.label) for column in columns])
    return f"<h3>Before: the class word</h3>{before}<h3>After: the person's token</h3>{after}"


def _scores(tables: Sequence[ScoreTable]) -> str:
    return "".join(_table(table) for table in tables)


def _table(table: ScoreTable) -> str:
    head, body = _row(table.heading, "th"), "".join(_row(row, "td") for row in table.rows)
    # Wide tables scroll by themselves; the tabindex lets the keyboard do it.
    return (
        f'<h3>{escape(table.title)}</h3><div class="wide" tabindex="0"><table>'
        f"<thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def _row(cells: Iterable[str], kind: str) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"


def _command(command: str) -> str:
    return f"<pre><code>{escape(command)}</code></pre>" if command else ""
