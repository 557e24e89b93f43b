"""Text that may come from anyone, as it is shown: what would steer the terminal, or hide, is seen as an escape."""

from __future__ import annotations

import unicodedata

from faceid_cli.cli.streams import is_byte, shown_byte

# C0, DEL and C1; directions, tags and other marks without a picture; ends of lines and paragraphs.
_STEERING = frozenset({"Cc", "Cf", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # some languages are not written without them, nor many an emoji


def visible(text: str, keep_bytes: bool = False) -> str:
    """Return the text in one line, with `\\x1b` for the escape that a terminal would obey, and the like.

    Args:
        text: To be shown.
        keep_bytes: Leave bytes of file names that are no text: where paths alone are printed, a program reads them.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if keep_bytes and is_byte(each) else _shown(each) for each in text)


def visible_lines(text: str) -> str:
    """The same for text of several lines of our own."""
    return "\n".join(map(visible, text.split("\n")))


def _shown(letter: str) -> str:
    if unicodedata.category(letter) == "Cs":
        return shown_byte(letter)
    if unicodedata.category(letter) in _STEERING and letter not in _JOINERS:
        return letter.encode("unicode_escape").decode("ascii")
    return letter
