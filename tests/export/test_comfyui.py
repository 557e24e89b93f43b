"""The folder for ComfyUI, and what real ComfyUI code makes of it.

That needs ComfyUI's sources: set COMFYUI to their folder, in an environment that can import them (einops, torchsde and
a few more). Without, the slow test is skipped.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from faceid_cli.api.export import export_to
from faceid_cli.kept.identity_file import IdentityMetadata, load_identity, save_identity
from faceid_cli.registry.records import NewIdentity
from faceid_cli.registry.store import Registry

ROOT = Path(__file__).parents[2]


def enrol(name: str, seed: int, stages: int = 5, widths: tuple[int, ...] = (768,), split: bool = True) -> Path:
    names = ("text_encoder", "text_encoder_2")
    noise = np.random.default_rng(seed)
    keys, values = (
        {
            each: noise.normal(size=(stages, 1, width)).astype(np.float32)
            for each, width in zip(names, widths, strict=False)
        }
        for _ in range(2)
    )
    family = "sdxl" if len(widths) > 1 else "sd1"
    new = NewIdentity(name, "woman", "owner/base", f"{family}:0123456789abcdef", {"method": "sefi"})
    with Registry.open() as registry:
        return registry.add_identity(
            new,
            lambda person: save_identity(
                person.path,
                keys,
                values if split else keys,
                IdentityMetadata(name, "woman", "owner/base", f"{family}:0123456789abcdef"),
            ),
        ).path


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_folder_holds_nodes_embeddings_and_workflows(tmp_path) -> None:
    path = enrol("alice", 0)
    enrol("bob", 1, stages=1, split=False)
    made = export_to(["alice", "bob"], "comfyui", tmp_path / "out")[0]
    assert made.lost == ()
    stems = [f"fid-alice-{side}{stage}" for side in "kv" for stage in range(1, 6)]
    assert names(tmp_path / "out") == [
        "README.md",
        "custom_nodes/faceid_people/__init__.py",
        "faceid-export.json",
        *(f"models/embeddings/{stem}.safetensors" for stem in [*stems, "fid-bob-k1"]),
        "workflow_api.json",
        "workflow_regions_api.json",
    ]
    third = load_file(tmp_path / "out/models/embeddings/fid-alice-v3.safetensors")
    assert np.array_equal(third["emb_params"], load_identity(path).values["text_encoder"][2])
    graph = json.loads((tmp_path / "out/workflow_regions_api.json").read_text())
    for node in graph.values():  # every link leads to a node
        assert all(value[0] in graph for value in node["inputs"].values() if isinstance(value, list))
    assert [node["inputs"]["x"] for node in graph.values() if node["class_type"] == "ConditioningSetArea"] == [0, 256]


def test_the_nodes_import_nothing_of_faceid(tmp_path) -> None:
    enrol("alice", 0, widths=(768, 1280))
    export_to(["alice"], "comfyui", tmp_path / "out")
    tree = ast.parse((tmp_path / "out/custom_nodes/faceid_people/__init__.py").read_text())
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {module.split(".")[0] for module in modules} == {
        "__future__",
        "comfy",
        "folder_paths",
        "os",
        "re",
        "typing",
    }


@pytest.mark.slow
def test_real_comfyui_code_makes_the_same_latents(tmp_path) -> None:
    comfyui = os.environ.get("COMFYUI")
    if not comfyui:
        pytest.skip("COMFYUI does not say where ComfyUI's sources are")
    people = [enrol("alice", 0), enrol("bob", 1)]
    export_to(["alice", "bob"], "comfyui", tmp_path / "out")
    program = [sys.executable, Path(__file__).with_name("comfyui_run.py"), comfyui, tmp_path, tmp_path / "out", *people]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([str(word) for word in program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    noise = 1e-4 * found["spread 5"]
    assert found["guidance 1"] < noise, found
    assert found["guidance 5"] < noise
    assert found["negative of a stock node"] < noise
    assert found["two people"] < noise
    assert found["nobody in the prompt"] == 0
    assert found["without apply"] > 1000 * noise, "the comparison would notice the split"
    assert found["regions are finite"]
    assert found["regions differ from one prompt"] > 1000 * noise
