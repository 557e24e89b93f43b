"""Whether this process is faceid's own, a command, or a program that imports faceid and much else.

What nobody but faceid could miss is left out only in the former.
"""

from __future__ import annotations

_claimed: list[bool] = []


def claim_process() -> None:
    """This process runs a command of faceid, and nothing else."""
    _claimed.append(True)


def is_own_process() -> bool:
    """Whether it does."""
    return bool(_claimed)
