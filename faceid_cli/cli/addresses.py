"""`--ray` with and without an address: the command line's library knows no option whose value may be left out."""

from __future__ import annotations

from collections.abc import Sequence

_RAY = "--ray"


def with_address(words: Sequence[str]) -> list[str]:
    """The words of a command, `--ray` without an address behind it as `--ray=auto`."""
    if _RAY not in words:
        return list(words)
    from faceid_cli.orders.workers import ADDRESS, AUTO  # brings in all orders, which quick commands do without

    end = list(words).index("--") if "--" in words else len(words)
    return [
        f"{_RAY}={AUTO}"
        if word == _RAY and place < end and not ADDRESS.fullmatch("".join(words[place + 1 : place + 2]))
        else word
        for place, word in enumerate(words)
    ]
