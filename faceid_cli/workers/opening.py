"""The pool that an order asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from faceid_cli.orders.workers import WorkersOrder
from faceid_cli.types import OnNote
from faceid_cli.workers.pool import Make, Pool
from faceid_cli.workers.processes import Processes


@contextmanager
def opened_pool(order: WorkersOrder, make: Make, given: Any, device: str, on_note: OnNote) -> Iterator[Pool]:
    """Workers while the context lasts.

    Args:
        order: Says where.
        make: Makes a worker.
        given: What it is told.
        device: The user's, as in `RenderConfig`; Ray's workers have a GPU unless it is "cpu".
        on_note: Told who they are.

    Raises:
        UsageError: Ray is not installed.
        WorkersError: The cluster cannot be reached.
    """
    pool = _pool(order, make, given, device, on_note)
    try:
        on_note(f"the work goes to {pool.told}")
        yield pool
    finally:
        pool.close()


def _pool(order: WorkersOrder, make: Make, given: Any, device: str, on_note: OnNote) -> Pool:
    if order.ray is None:
        return Processes(make, given, order.devices)
    from faceid_cli.workers.cluster import Cluster

    cluster = Cluster(make, given, order.ray, order.workers, device, on_note)
    try:
        cluster.wait_for_one()
    except BaseException:
        cluster.close()
        raise
    return cluster
