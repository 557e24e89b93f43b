"""A folder to copy over ComfyUI's own: custom nodes, embeddings and workflows. Nothing is lost.

The nodes are in `comfyui_nodes`, which is written as it is: it imports nothing of faceid.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.export.inversions import check_written, inversion_file
from faceid_cli.export.person import Exported, Vectors
from faceid_cli.export.targets import Choices, Package
from faceid_cli.model_files import FAMILY_NAMES

_NODES = Path(__file__).parent / "comfyui_nodes" / "__init__.py"
_PACKAGE = "custom_nodes/faceid_people/__init__.py"
_EMBEDDINGS = "models/embeddings"
_SIDES_PX = {"sd1": 512, "sdxl": 1024}
_GUIDE = """# {names} in ComfyUI

1. Copy `custom_nodes` and `models` over the folders of these names in ComfyUI's own folder, and start it again.
2. Open `workflow_api.json` in ComfyUI, and choose a checkpoint of {family} in its first node.

The node **FaceID prompt** takes a text with {marks} in it. Use it for the negative prompt, too: then both are denoised
together. **FaceID apply** goes between the checkpoint (after its LoRAs) and the sampler. Both are needed: without the
second, keys stand for the values, too.

Stages are ranges of timesteps, so any sampler, scheduler and number of steps works, and img2img.
{regions}
Not as in faceid: `(words:1.3)` is ComfyUI's own emphasis; a ControlNet sees the keys for the values, too; and
ConditioningAverage and ConditioningConcat change the keys alone.
"""
_REGIONS = """
`workflow_regions_api.json` has a prompt of its own for each person, in areas side by side: ConditioningSetArea and
ConditioningSetMask work with the prompts of this node as with any others.
"""


def comfyui(people: Sequence[Exported], choices: Choices) -> Package:
    """Files for the folder."""
    expected: dict[str, Vectors] = {}
    files: dict[str, bytes] = {_PACKAGE: _NODES.read_bytes()}
    for person in people:
        for name, vectors in _embeddings(person).items():
            path = f"{_EMBEDDINGS}/{name}.safetensors"
            if path in files:
                raise UsageError(f"two people would both be {person.stem}", "export them one by one, to other folders")
            files[path] = inversion_file(
                vectors, person.family, name, f"{person.name} {name}", f"write <{person.name}>"
            )
            expected[path] = vectors
    marks = [f"<{person.name}>" for person in people]
    side = _SIDES_PX[people[0].family]
    workflows = {"workflow_api.json": _workflow([choices.prompt], side, choices.steps)}
    if len(people) > 1:
        own = [f"a photo of {mark}" for mark in marks]
        workflows["workflow_regions_api.json"] = _workflow(own, side, choices.steps)
    files |= {name: json.dumps(graph, indent=1).encode() + b"\n" for name, graph in workflows.items()}
    files["README.md"] = _GUIDE.format(
        names=", ".join(person.name for person in people),
        family=FAMILY_NAMES[people[0].family],
        marks=" and ".join(f"`{mark}`" for mark in marks),
        regions=_REGIONS if len(people) > 1 else "",
    ).encode()

    def check(folder: Path) -> None:
        check_written(folder, expected)
        compile((folder / _PACKAGE).read_text(encoding="utf-8"), _PACKAGE, "exec")
        for name in workflows:
            json.loads((folder / name).read_text(encoding="utf-8"))

    use = "copy custom_nodes and models over ComfyUI's, start it again, and open workflow_api.json"
    return Package(files, use, check)


def _embeddings(person: Exported) -> dict[str, Vectors]:
    """Keys and values of each stage by the names of their files; values only where they are others."""
    count = person.stages if person.changes else 1
    digits = len(str(count))
    sides = {"k": person.keys, "v": person.values} if person.is_split else {"k": person.keys}
    return {
        f"{person.stem}-{side}{stage + 1:0{digits}d}": of(stage) for side, of in sides.items() for stage in range(count)
    }


def _workflow(prompts: Sequence[str], side: int, steps: int) -> dict[str, Any]:
    """A graph in the form of ComfyUI's API; several prompts share the picture's width."""
    graph: dict[str, Any] = {
        "1": _node("CheckpointLoaderSimple", ckpt_name="choose-a-checkpoint.safetensors"),
        "2": _node("FaceIDApply", model=["1", 0]),
        "3": _node("FaceIDPrompt", clip=["1", 1], text=""),
        "4": _node("EmptyLatentImage", width=side, height=side, batch_size=1),
    }
    positive: list[Any] = []
    for number, prompt in enumerate(prompts):
        place = str(10 + 10 * number)
        graph[place] = _node("FaceIDPrompt", clip=["1", 1], text=prompt)
        link: list[Any] = [place, 0]
        if len(prompts) > 1:
            width = side // len(prompts) // 8 * 8
            area = {"width": width, "height": side, "x": number * width, "y": 0, "strength": 1.0}
            graph[f"{place}1"] = _node("ConditioningSetArea", conditioning=link, **area)
            link = [f"{place}1", 0]
        if positive:
            graph[f"{place}2"] = _node("ConditioningCombine", conditioning_1=positive, conditioning_2=link)
            link = [f"{place}2", 0]
        positive = link
    sampling = {"seed": 7, "steps": steps, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    graph["5"] = _node(
        "KSampler", model=["2", 0], positive=positive, negative=["3", 0], latent_image=["4", 0], **sampling
    )
    graph["6"] = _node("VAEDecode", samples=["5", 0], vae=["1", 2])
    graph["7"] = _node("SaveImage", images=["6", 0], filename_prefix="faceid")
    return graph


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}
