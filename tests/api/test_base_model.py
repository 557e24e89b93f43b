"""api/base_model.py: what happens while torch is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_files_are_read_before_torch_is_imported() -> None:
    code = """if True:
        import sys
        import faceid_cli.api.base_model as loading
        from faceid_cli.orders import RenderConfig

        def noted(*arguments):
            print("torch" in sys.modules)
            real(*arguments)

        real, loading.read_ahead = loading.read_ahead, noted
        loading.base_model("builtin", RenderConfig(device="cpu"), None)
        print("torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself this signal there")
def test_ctrl_c_waits_until_torch_has_set_itself_up(tmp_path) -> None:
    """It does so in C++, where Ctrl-C would abort the process with a message of the compiler's."""
    (tmp_path / "torch.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nprint('set up')\n")
    code = """if True:
        from faceid_cli.api.base_model import begin_loading
        try:
            begin_loading("builtin", None)
        except KeyboardInterrupt:
            print("stopped")
    """
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    surroundings = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["set", "up", "stopped"]
