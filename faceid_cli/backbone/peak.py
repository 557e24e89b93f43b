"""How much memory some work takes at its peak, and how much there is."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

_RESET = "5"  # as Linux has it in /proc/PID/clear_refs: forget the peak so far


class Peak:
    """The peak of memory from here on: of a GPU what torch has taken of it, else of this process.

    Args:
        device: Where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.restart()

    def restart(self) -> None:
        """Forget the peak so far; where the system cannot, that of the whole process counts."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        try:
            Path("/proc/self/clear_refs").write_text(_RESET)
        except OSError:
            return

    @property
    def bytes(self) -> int:
        """The peak."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_reserved(self._device))
        found = _of_proc("/proc/self/status", "VmHWM")
        unit = 1 if sys.platform == "darwin" else 1024
        return found or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    @property
    def now(self) -> int:
        """What is taken now."""
        if self._device.type == "cuda":
            return int(torch.cuda.memory_reserved(self._device))
        return _of_proc("/proc/self/status", "VmRSS") or self.bytes

    @property
    def room(self) -> int | None:
        """What this process can have in all, with what it has; None where the system does not tell."""
        if self._device.type == "cuda":
            return int(torch.cuda.mem_get_info(self._device)[0]) + self.now
        free = _of_proc("/proc/meminfo", "MemAvailable")
        return free + self.now if free else None


def _of_proc(file: str, name: str) -> int:
    """A line such as "VmRSS:  1234 kB" in bytes; 0 where there is none."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
