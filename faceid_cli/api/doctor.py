"""Is everything here that faceid needs, and whole? Looks only, and mends what it is asked to mend."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from faceid_cli.api.list import list_identities
from faceid_cli.api.probing import probe
from faceid_cli.errors import FaceIDError
from faceid_cli.kept import paths
from faceid_cli.kept.identity_file import load_identity
from faceid_cli.kept.material import stray_material
from faceid_cli.kept.runs import checkpoint_dir, checkpoint_folders, is_home_writable
from faceid_cli.kept.settings import read_setting
from faceid_cli.kept.weights import KNOWN_WEIGHTS, local_weights, weights_path, with_parts
from faceid_cli.model_files import check_model
from faceid_cli.registry import mending
from faceid_cli.registry.base_models import shown_source
from faceid_cli.registry.forgetting import backups_of, strangers_in
from faceid_cli.registry.recovery import Finished
from faceid_cli.registry.store import Registry
from faceid_cli.types import BUILTIN, Identity
from faceid_cli.version import __version__

_FIX = "`faceid doctor --fix`"
_BACK = "put a backup back with `faceid restore`"

State = Literal["ok", "warn", "fail"]

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
    """Look at the installation, the device, the home folder, the registry, the base model and helper weights.

    What cannot be read is a finding, and the rest is looked at all the same.
    """
    with ThreadPoolExecutor(1) as aside:  # the packages take seconds, in a process of their own
        found = aside.submit(probe)
        rest = [
            finding
            for what, look in (
                ("home", _home),
                ("registry", _registry),
                ("base model", _base_model),
                ("weights", _weights),
            )
            for finding in _looked(what, look)
        ]
        packages = _packages(found.result())
    return [Finding("faceid", "ok", f"{__version__}, Python {sys.version.split()[0]}"), *packages, *rest]


def mend(may_delete: Callable[[Sequence[Path]], bool]) -> list[Finding]:
    """Finish what was begun, let only the owner read the home, and delete what belongs to nobody.

    Args:
        may_delete: Asked once, with all files and folders that would be deleted.

    Returns:
        What was done, and what could not be.
    """
    return list(_looked("mending", partial(_mended, may_delete))) if paths.home().exists() else []


def _mended(may_delete: Callable[[Sequence[Path]], bool]) -> list[Finding]:
    with Registry.open(create=False) as registry:
        registry.check_writable()
        finished = mending.finish_begun(registry)
        lost = mending.lost_files(registry)
    done = [_finished(each) for each in finished]
    if (opened := mending.make_home_private()) > 0:
        done.append(Finding("home", "ok", f"only you can read it now: {opened} files and folders were open to others"))
    if lost and may_delete(lost):
        done += [_deleted(path) for path in lost]
    return done


def _finished(each: Finished) -> Finding:
    what = {"keep": "the enrolment", "rename": "the renaming", "remove": "the removal"}[each.entry.kind]
    of = f" of {each.entry.name}" if each.entry.name else ""
    if not each.left:
        return Finding("unfinished", "ok", f"finished: {what}{of}, which had stopped half-way")
    left = ", ".join(map(str, each.left))
    return Finding("unfinished", "fail", f"{what}{of} cannot be finished: {left}", "delete it by hand, then try again")


def _deleted(path: Path) -> Finding:
    try:
        mending.delete(path)
    except OSError as error:
        return Finding("lost", "fail", f"cannot delete {path}: {error.strerror}", "check its permissions")
    return Finding("lost", "ok", f"deleted: {path}")


def _looked(what: str, look: Callable[[], Sequence[Finding]]) -> Sequence[Finding]:
    """What was found; also where looking itself goes wrong, so that the rest is looked at."""
    try:
        return look()
    except FaceIDError as error:
        return [Finding(what, "fail", error.message, error.hint or "")]
    except Exception as error:  # of damaged files anything may come
        return [Finding(what, "fail", f"it cannot be read: {error or type(error).__name__}", "put a backup back")]


def _packages(found: Mapping[str, Any]) -> list[Finding]:
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
    fitting = "install what it needs, or install faceid again: pip install -U ."
    findings += [Finding("packages", "warn", line, fitting) for line in found.get("misfits") or ()]
    if found.get("torch"):
        devices = found.get("devices") or [f"CPU, {found.get('threads')} threads"]
        findings.append(Finding("device", "ok", ", ".join(devices)))
    return findings


def _problem(found: Mapping[str, Any], name: str) -> str:
    return str(found.get(f"{name} error", "importing it ends the process"))


def _home() -> list[Finding]:
    home = paths.home()
    if not is_home_writable():
        hint = "people can be listed, shown, exported and rendered; to enroll, set FACEID_HOME to a folder of yours"
        return [Finding("home", "fail", f"{home} cannot be written", hint)]
    if not home.exists():
        return [Finding("home", "ok", f"{home} (made when it is first needed)")]
    if mending.is_open(home):
        return [Finding("home", "warn", f"others can read {home}", f"{_FIX}, or chmod 700")]
    return [Finding("home", "ok", str(home))]


def _registry() -> list[Finding]:
    people = list_identities()
    with Registry.open(create=False) as registry:
        problems = registry.problems(people)
        unfinished = mending.unfinished(registry)
        material = _material(registry)
    findings = [Finding("registry", "ok", f"{len(people)} enrolled, {paths.registry_file()}")] if not problems else []
    for problem in problems:
        stray = problem.startswith("a file that belongs to nobody")
        hint = f"{_FIX} deletes it" if stray else f"`faceid remove` and enroll again, or {_BACK}"
        findings.append(Finding("registry", "warn" if stray else "fail", problem, hint))
    for entry in unfinished:
        detail = f"a change of {entry.name or 'several people'} has stopped half-way ({entry.kind})"
        findings.append(Finding("unfinished", "warn", detail, f"{_FIX} tries to finish it"))
    findings += _embeddings(people)
    return findings + _checkpoints(people) + material


def _embeddings(people: Sequence[Identity]) -> list[Finding]:
    """Everybody's file is read whole; those that are not there are among the registry's problems."""
    damaged = []
    for person in people:
        if person.path.is_file():
            try:
                load_identity(person.path)
            except FaceIDError as error:
                hint = f"enroll {person.name} again with --replace, import an exported file, or {_BACK}"
                damaged.append(Finding("embedding", "fail", f"{person.name}: {error.message}", hint))
    return damaged


def _material(registry: Registry) -> list[Finding]:
    """Crops, masks and reports of people who are gone, and copies of the registry that still name them."""
    hint = f"{_FIX} deletes it"
    there = stray_material(())
    known = registry.known_ids()  # asked for after what lies there was listed: somebody may be kept meanwhile
    lost = [path for path in there if path.name not in known]
    findings = [Finding("material", "warn", f"belongs to nobody: {path}", hint) for path in lost]
    for backup in backups_of(paths.registry_file()):
        names = ", ".join(strangers_in(backup, known))
        detail = f"{backup} is from before an update"
        if names:
            detail += f", and still knows {names}"
        findings.append(Finding("backup", "warn" if names else "ok", detail, "it can be deleted"))
    return findings


def _checkpoints(people: Sequence[Identity]) -> list[Finding]:
    folders = checkpoint_folders()
    if not folders:
        return []
    known = {checkpoint_dir(person.name) for person in people}
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
