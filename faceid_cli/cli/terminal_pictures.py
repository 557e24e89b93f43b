"""Pictures in the terminal, by the protocols of iTerm2 and kitty; elsewhere their path."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from faceid_cli.cli.output import out

Protocol = Literal["iterm2", "kitty"]

_KITTY_CHUNK = 4096  # bytes of base64 in one escape sequence, as the protocol demands


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """Which protocol the terminal understands; None where it is not known to understand any.

    Terminal multiplexers do not pass pictures on, so nothing is shown inside them.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if environment.get("TMUX") or environment.get("STY") or term.startswith(("screen", "tmux")):
        return None
    if term in ("xterm-kitty", "xterm-ghostty") or "KITTY_WINDOW_ID" in environment or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    return None


def picture_sequence(png: bytes, protocol: Protocol) -> str:
    """The escape sequence that shows a PNG file, with a line end."""
    text = base64.b64encode(png).decode("ascii")
    if protocol == "iterm2":
        return f"\x1b]1337;File=inline=1;size={len(png)};preserveAspectRatio=1:{text}\x07\n"
    chunks = [text[start : start + _KITTY_CHUNK] for start in range(0, len(text), _KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        # a=T: transmit and show; f=100: a PNG file; q=2: the terminal does not answer into the user's input.
        keys = "a=T,f=100,q=2," if number == 0 else ""
        parts.append(f"\x1b_G{keys}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(parts) + "\n"


def show_preview(step: int, path: Path) -> None:
    """Show a sample of the training on stderr, or where it is."""
    protocol = protocol_of(os.environ) if out.mode == "human" and sys.stderr.isatty() else None
    if protocol is None:
        out.note(f"preview of step {step}: {path}")
        return
    out.note(f"preview of step {step}")
    sys.stderr.write(picture_sequence(path.read_bytes(), protocol))
    sys.stderr.flush()
