"""kept/signals.py: what belongs together is not torn apart."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from faceid_cli.kept.signals import held_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there")


def test_ctrl_c_waits_for_the_end_of_what_belongs_together() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_signals():  # noqa: PT012
        with held_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_request_to_end_waits_too_and_then_does_what_it_would_have_done() -> None:
    came = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        with held_signals():
            signal.raise_signal(signal.SIGTERM)
            assert came == []
        assert came == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held_signals():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_left_alone() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            with held_signals():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []
