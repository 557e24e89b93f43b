"""kept/signals.py: what belongs together is not torn apart."""

from __future__ import annotations

import signal
import subprocess
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


@pytest.mark.parametrize("drop", ["__del__", "weakref"])
def test_ctrl_c_in_a_callback_of_python_s_memory_is_not_lost(drop) -> None:
    code = f"""if True:
        import signal, time, weakref
        from faceid_cli.kept.signals import raise_dropped_interrupts

        class Thing:
            def __del__(self):
                if {drop!r} == "__del__":
                    signal.raise_signal(signal.SIGINT)

        def gone(_):
            signal.raise_signal(signal.SIGINT)

        raise_dropped_interrupts()
        thing = Thing()
        watched = weakref.ref(thing, gone) if {drop!r} == "weakref" else None
        try:
            del thing
            print("dropped")
            time.sleep(60)
            print("lost")
        except KeyboardInterrupt:
            print("stopped")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["dropped", "stopped"], "")


def test_other_errors_there_are_told_as_ever() -> None:
    code = """if True:
        from faceid_cli.kept.signals import raise_dropped_interrupts

        class Thing:
            def __del__(self):
                raise ValueError("told")

        raise_dropped_interrupts()
        Thing()
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ValueError: told" in done.stderr
