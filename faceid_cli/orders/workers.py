"""Where work is done that is more than one process can do: devices of this machine, or a Ray cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.orders.checks import at_least, check_device
from faceid_cli.orders.option import Options, option

AUTO, LOCAL = "auto", "local"
ADDRESS = re.compile(r"auto|local|ray://\S+|[\w.-]+:\d{1,5}|\[[0-9A-Fa-f:]+\]:\d{1,5}")
"""What `--ray` may be followed by."""


def read_devices(text: str) -> dict[str, Any]:
    """Read "cuda:0,cuda:1" as devices; one that stands there twice works twice.

    Raises:
        UsageError: Nothing between two commas.
    """
    devices = tuple(part.strip() for part in text.split(","))
    if not all(devices):
        raise UsageError(f"{text!r} leaves out a device", "write them with commas between: cuda:0,cuda:1")
    return {"devices": devices}


def _devices(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_device(device) for device in value)


def _address(value: str) -> str:
    if not ADDRESS.fullmatch(value):
        raise UsageError(f"{value!r} is no address of a Ray cluster", "give HOST:PORT, auto or local")
    if value.startswith("ray://"):
        raise UsageError(
            f"{value} is the address of Ray's client, through which nothing is tested here",
            "run faceid on a machine of the cluster, with --ray HOST:PORT of its head",
        )
    return value


@dataclass(frozen=True)
class WorkersOrder(Options):
    """Who does the work.

    Raises:
        UsageError: Two places at once.
    """

    devices: tuple[str, ...] = option(
        (),
        "Work on several devices of this machine at once, such as cuda:0,cuda:1.",
        "--devices",
        metavar="DEVICE,...",
        kind=str,
        check=_devices,
        read=read_devices,
        write=lambda order: ",".join(order.devices) or None,
        is_repeated=False,
        is_settable=False,
    )
    ray: str | None = option(
        None,
        "Work on a Ray cluster: HOST:PORT; auto for one that runs here, or else a new one; local for a new one.",
        "--ray",
        metavar="[ADDRESS]",
        check=_address,
        is_repeated=False,
        is_settable=False,
    )
    workers: int | None = option(
        None,
        "So many workers on the Ray cluster; if not given, one for each GPU, or for each four cores.",
        "--workers",
        metavar="N",
        check=at_least("workers", 1),
        is_repeated=False,
        is_settable=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.devices and self.ray is not None:
            raise UsageError("--devices and --ray each say where the work is done", "give one of them")
        if self.workers is not None and self.ray is None:
            raise UsageError("--workers counts those of a Ray cluster", "add --ray, or name --devices")

    def check_beside(self, device: str | None) -> None:
        """Check what is said of one device beside it.

        Raises:
            UsageError: Both say where the work is done.
        """
        if self.devices and device is not None:
            raise UsageError("--device and --devices each say where the work is done", "give one of them")

    @property
    def are_wanted(self) -> bool:
        """Whether the work is not done in this process."""
        return bool(self.devices) or self.ray is not None
