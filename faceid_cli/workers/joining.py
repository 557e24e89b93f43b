"""Joining a Ray cluster, or starting one. Ray is imported here alone, and only when it is asked for."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import suppress
from typing import Any

from faceid_cli.errors import UsageError, WorkersError
from faceid_cli.orders.workers import AUTO, LOCAL

_STORE_BYTES = 256 * 2**20
_CONNECT_SECONDS = 5.0


class Joined:
    """A cluster that this process belongs to.

    Args:
        address: As of `WorkersOrder.ray`.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: The cluster cannot be reached, or none can be started.
    """

    def __init__(self, address: str) -> None:
        self.ray = _imported()
        self._is_ours, self._scratch = False, ""
        if self.ray.is_initialized():  # by the program that uses faceid, which will end it, too
            return
        _silence(self.ray)
        known = _running() if address == AUTO else "" if address == LOCAL else address
        if known and (reason := _why_not(known)):
            hint = "ray status says whether one runs; --ray local starts one"
            raise WorkersError(f"no Ray cluster answers at {known}: {reason}", hint)
        self._is_ours = True
        try:
            self._join(known)
        except (OSError, RuntimeError, ValueError) as error:
            self.leave()
            reason = " ".join(str(error).split())
            where = f"the Ray cluster at {known} cannot be joined" if known else "no Ray cluster can be started here"
            hint = "ray status says whether one runs; --devices does without"
            raise WorkersError(f"{where}: {reason}", hint) from error
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Leave the cluster; one that was started here ends, and what it kept is deleted."""
        if self._is_ours:
            with suppress(Exception):
                self.ray.shutdown()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _join(self, known: str) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if known:
            self.ray.init(address=known, **quiet)
            return
        # Ray keeps what is sent to workers there: faces, and so it is gone when we are.
        self._scratch = tempfile.mkdtemp(prefix="faceid-ray-")
        store, folder = _STORE_BYTES, self._scratch
        self.ray.init(address="local", include_dashboard=False, object_store_memory=store, _temp_dir=folder, **quiet)


def _imported() -> Any:
    # Set before Ray is imported, which reads it then: nothing is told to anybody of what is done here.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the later default of Ray, which warns till then
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise UsageError("--ray needs Ray, which is not installed", "pip install 'faceid-cli[ray]'") from error
    return ray


def _silence(ray: Any) -> None:
    """Let Ray not write to standard output what we tell ourselves: that is for results, and may be read by programs."""
    with suppress(AttributeError):
        ray._private.worker.print_to_stdstream = lambda data, ignore_prefix: None


def _running() -> str:
    """The address of a cluster that runs on this machine, or that RAY_ADDRESS names; "" for none."""
    from ray._private.services import canonicalize_bootstrap_address

    said = os.environ.get("RAY_ADDRESS", "")
    if said and said not in (AUTO, LOCAL):
        return said
    with suppress(Exception):  # where there is none, it raises one thing or another
        found = canonicalize_bootstrap_address(AUTO) or ""
        return "" if not found or _why_not(found) else found
    return ""


def _why_not(address: str) -> str:
    """Why nobody answers there, "" where somebody does: Ray itself waits for many minutes for those who do not."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS):
            return ""
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
