"""What is installed, told by a process of its own: packages that do not fit each other can end the whole process.

Only what has to be tried is imported: torch, for the devices; OpenCV, which may lack a library of the system; and of
torchvision the part that is built for one torch. The rest is read from what the packages say of themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_SECONDS = 300

_PROBE = """
import json, sys
from importlib import metadata
from types import ModuleType
found = {}

def told(name, look):
    try:
        found[name] = look()
    except Exception as error:
        found[name] = None
        found[name + " error"] = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    print(json.dumps(found), flush=True)

def torch():
    import torch
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("Apple mps")
    found.update(devices=devices, threads=torch.get_num_threads())
    return torch.__version__

def torchvision():
    for part in ("datasets", "io", "models", "ops", "transforms", "utils"):  # seconds, and not what can go wrong
        sys.modules["torchvision." + part] = ModuleType("torchvision." + part)
    import torchvision
    return getattr(torchvision, "__version__", None) or metadata.version("torchvision")

def facexlib():
    import cv2
    return metadata.version("facexlib")

def misfits():
    from packaging.requirements import Requirement
    for name in ("faceid-cli", "torchvision", "diffusers", "transformers", "facexlib"):
        try:
            needed = [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            continue
        for each in needed:
            if each.marker is None or each.marker.evaluate({"extra": ""}):
                try:
                    there = metadata.version(each.name)
                except metadata.PackageNotFoundError:
                    yield f"{name} needs {each.name}, which is not installed"
                    continue
                if not each.specifier.contains(there, prereleases=True):
                    yield f"{name} needs {each.name}{each.specifier}, and {there} is installed"

told("torch", torch)
told("torchvision", torchvision)
told("diffusers", lambda: metadata.version("diffusers"))
told("transformers", lambda: metadata.version("transformers"))
told("facexlib", facexlib)
told("misfits", lambda: list(misfits()))
"""


def probe() -> dict[str, Any]:
    """What that process found: the last whole line that it wrote before it ended, however it ended.

    Returns:
        Versions by the names of packages, None where there is none and then "NAME error"; the names of the "devices"
        and the number of "threads"; "misfits", one line each.
    """
    try:
        run = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        text = run.stdout
    except subprocess.TimeoutExpired:
        text = ""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found
