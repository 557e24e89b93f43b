"""A folder for scripts with diffusers: identity files, a script that renders them, and a model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from faceid_cli.export.card import model_card
from faceid_cli.export.native import check_native, native_file
from faceid_cli.export.person import Exported
from faceid_cli.export.targets import Choices, Package
from faceid_cli.model_files import family_of_fingerprint
from faceid_cli.types import BUILTIN

_SCRIPT = '''"""Render {names}: python use.py [BASE MODEL] [PROMPT] [SEED]"""

import sys
from pathlib import Path

import faceid_cli
import torch
from diffusers import {kind}

base = sys.argv[1] if len(sys.argv) > 1 else {base}
prompt = sys.argv[2] if len(sys.argv) > 2 else {prompt!r}
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 7
kind = {kind}
load = kind.from_single_file if base.endswith((".safetensors", ".ckpt")) else kind.from_pretrained
pipe = load(base).to(torch.float32)  # on a GPU: .to("cuda", torch.float16)
here = Path(__file__).parent
faceid_cli.attach(pipe, {files})
picture = pipe(prompt, generator=torch.Generator("cpu").manual_seed(seed)).images[0]
picture.save({picture!r})
'''
_BUILTIN = 'str(Path(faceid_cli.__file__).parent / "builtin" / "model")'


def diffusers_folder(people: Sequence[Exported], choices: Choices) -> Package:
    """Files for a folder."""
    first = people[0].stored.metadata
    picture = f"{'-'.join(person.name for person in people)}.png"
    script = _SCRIPT.format(
        names=", ".join(person.name for person in people),
        kind="StableDiffusionXLPipeline"
        if family_of_fingerprint(first.base_fingerprint) == "sdxl"
        else "StableDiffusionPipeline",
        base=_BUILTIN if first.base_model == BUILTIN else repr(first.base_model),
        prompt=choices.prompt,
        files=", ".join(f'here / "{person.name}.safetensors"' for person in people),
        picture=picture,
    )
    use = f"`pip install faceid-cli`, then:\n\n```python\n{script.partition('import sys')[2].strip()}\n```"
    use = use.replace("```python\n", "```python\nimport sys\n")
    use += "\n\nThe files can be read without faceid, too: docs/format.md of faceid describes them."
    files = {f"{person.name}.safetensors": native_file(person) for person in people}
    card = model_card(people, use, "stages, keys and values")

    def check(folder: Path) -> None:
        for person in people:
            check_native(folder / f"{person.name}.safetensors", person)
        compile((folder / "use.py").read_text(encoding="utf-8"), "use.py", "exec")

    return Package(
        {**files, "use.py": script.encode(), "README.md": card.encode()},
        f'faceid_cli.attach(pipe, "{people[0].name}.safetensors"), or python use.py',
        check,
    )
