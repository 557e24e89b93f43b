"""Processes that measure at once, each with a share of the threads; they end with the program that they measure for."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from threading import Thread
from typing import Any

import torch


def add_processes_option(parser: argparse.ArgumentParser) -> None:
    """For programs that measure with several of them."""
    parser.add_argument(
        "--processes", type=int, default=1, help="how many measure at once, on a share of the threads each"
    )


def processes_of(count: int, opening: Callable[..., object] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """So many processes.

    Args:
        count: How many.
        opening: Called in each of them before anything else, or None.
        arguments: Of `opening`.
    """
    threads = max(torch.get_num_threads() // count, 1)
    return ProcessPoolExecutor(count, get_context("spawn"), _open, (threads, opening, arguments))


def _open(threads: int, opening: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(threads)
    if opening is not None:
        opening(*arguments)


def _end_with(parent: int) -> None:
    """End this process when the one is gone that it measures for, however that ended."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
