"""Is everything here that faceid needs? Looks only; changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths
from faceid_cli.kept.material import stray_material
from faceid_cli.kept.runs import checkpoint_dir, is_home_writable
from faceid_cli.kept.settings import read_setting
from faceid_cli.kept.weights import KNOWN_WEIGHTS, local_weights, weights_path, with_parts
from faceid_cli.model_files import check_model
from faceid_cli.registry.base_models import shown_source
from faceid_cli.registry.forgetting import backups_of, strangers_in
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN
from faceid_cli.version import __version__

State = Literal["ok", "warn", "fail"]

# Packages that do not fit each other can end the whole process, so they are tried in one of their own.
_PROBE = """
import json, sys
found = {}
for name in ("torch", "torchvision", "diffusers", "transformers", "facexlib"):
    try:
        found[name] = getattr(__import__(name), "__version__", "installed")
    except Exception as error:
        found[name] = None
        found[name + " error"] = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    if name == "torch" and found[name]:
        torch = sys.modules["torch"]
        devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if torch.backends.mps.is_available():
            devices.append("Apple mps")
        found["devices"] = devices
        found["threads"] = torch.get_num_threads()
    print(json.dumps(found), flush=True)
"""
_PROBE_SECONDS = 300

# Larger or other networks for what smaller ones do, too: nobody misses them.
_ALTERNATIVES = ("face-detection-resnet50", "face-parsing-parsenet")
# Looked at with what they belong to.
_PARTS = tuple(part for weights in KNOWN_WEIGHTS.values() for part in weights.parts)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        state: "ok"; "warn" for what only some uses need; "fail" for what stops faceid.
        detail: What was found.
        hint: What to do, or "".
    """

    what: str
    state: State
    detail: str
    hint: str = ""


def check_health() -> list[Finding]:
    """Look at the installation, the device, the home folder, the registry, the base model and helper weights."""
    return [
        Finding("faceid", "ok", f"{__version__}, Python {sys.version.split()[0]}"),
        *_packages(),
        _home(),
        *_registry(),
        *_base_model(),
        *_weights(),
    ]


def _packages() -> list[Finding]:
    found = _probe()
    findings = []
    for name in ("torch", "diffusers", "transformers"):
        if found.get(name):
            findings.append(Finding(name, "ok", str(found[name])))
        else:
            findings.append(Finding(name, "fail", _problem(found, name), "install faceid again: pip install ."))
    for name in ("torchvision", "facexlib"):
        if found.get(name):
            findings.append(Finding(name, "ok", str(found[name])))
        else:
            hint = (
                "only photographs need it; install matching builds together: pip install -U torch torchvision facexlib"
            )
            findings.append(Finding(name, "warn", _problem(found, name), hint))
    if found.get("torch"):
        devices = found.get("devices") or [f"CPU, {found.get('threads')} threads"]
        findings.append(Finding("device", "ok", ", ".join(devices)))
    return findings


def _probe() -> dict[str, Any]:
    """What a process of its own found: the last whole line that it wrote before it ended, however it ended."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False
        )
        text = run.stdout
    except subprocess.TimeoutExpired:
        text = ""
    lines = [line for line in text.splitlines() if line.startswith("{")]
    found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return found


def _problem(found: dict[str, Any], name: str) -> str:
    return str(found.get(f"{name} error", "importing it ends the process"))


def _home() -> Finding:
    home = paths.home()
    if not is_home_writable():
        return Finding("home", "fail", f"{home} cannot be written", "set FACEID_HOME to a folder of yours")
    return Finding("home", "ok", str(home) if home.exists() else f"{home} (made when it is first needed)")


def _registry() -> list[Finding]:
    try:
        with Registry.open(create=False) as registry:
            people, problems = registry.list(), registry.problems()
    except FaceIDError as error:
        return [Finding("registry", "fail", error.message, error.hint or "")]
    findings = [Finding("registry", "ok", f"{len(people)} enrolled, {paths.registry_file()}")] if not problems else []
    for problem in problems:
        stray = problem.startswith("a file that belongs to nobody")
        hint = "it can be deleted" if stray else "`faceid remove` and enroll again, or put a backup back"
        findings.append(Finding("registry", "warn" if stray else "fail", problem, hint))
    known = {checkpoint_dir(person.name) for person in people}
    return findings + _checkpoints(known) + _material({person.id for person in people})


def _material(known: set[str]) -> list[Finding]:
    """Crops, masks and reports of people who are gone, and copies of the registry that still name them."""
    findings = [
        Finding("material", "warn", f"belongs to nobody: {path}", "it can be deleted") for path in stray_material(known)
    ]
    for backup in backups_of(paths.registry_file()):
        names = ", ".join(strangers_in(backup, known))
        detail = f"{backup} is from before an update"
        if names:
            detail += f", and still knows {names}"
        findings.append(Finding("backup", "warn" if names else "ok", detail, "it can be deleted"))
    return findings


def _checkpoints(known: set[Path]) -> list[Finding]:
    folders = sorted(paths.runs_dir().glob("*"))
    if not folders:
        return []
    detail = f"{len(folders)} of interrupted enrolments in {paths.runs_dir()}"
    hint = "go on with `faceid enroll NAME PHOTOS... --resume`, or delete them"
    return [Finding("checkpoints", "warn" if set(folders) - known else "ok", detail, hint)]


def _base_model() -> list[Finding]:
    try:
        source = read_setting("model")
    except FaceIDError as error:
        return [Finding("settings", "fail", error.message, error.hint or "")]
    if source != BUILTIN and not os.path.exists(source):
        return [Finding("base model", "warn", f"{source}: not a folder or file here; looked up when it is used")]
    try:
        check_model(source)
    except FaceIDError as error:
        return [Finding("base model", "fail", error.message, error.hint or "")]
    return [Finding("base model", "ok", shown_source(source))]


def _weights() -> list[Finding]:
    return [
        _weights_of(name)
        for name in KNOWN_WEIGHTS
        if name not in _PARTS and (name not in _ALTERNATIVES or weights_path(name).exists())
    ]


def _weights_of(name: str) -> Finding:
    """One line says what is wrong, and the other what to do about it; `faceid weights path` has the source."""
    use = f"only {KNOWN_WEIGHTS[name].purpose} needs it"
    for file in with_parts([name]):
        try:
            local_weights(file)
        except FaceIDError as error:
            if not weights_path(file).is_file():
                return Finding(name, "warn", f"missing: {weights_path(file)}", f"{use}: `faceid weights fetch {name}`")
            return Finding(name, "warn", error.message, f"{use}; {error.hint}")
    return Finding(name, "ok", str(weights_path(name)))
