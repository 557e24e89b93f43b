"""People in a diffusers pipeline of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceid_cli.errors import UsageError
from faceid_cli.kept.identity_file import IdentityFile, load_identity
from faceid_cli.orders import RenderConfig
from faceid_cli.orders.checks import user_path
from faceid_cli.registry.names import check_name
from faceid_cli.registry.store import Registry

if TYPE_CHECKING:
    from faceid_cli.export.attach import Attached


def attach(
    pipe: Any,
    *people: str | Path,
    likeness: float = 1.0,
    likeness_keys: float | None = None,
    likeness_values: float | None = None,
    stages: Sequence[int] = (),
) -> Attached:
    """Let the prompts of a diffusers pipeline mark people as `<name>`.

    The pipeline may be of any task, with ControlNets and LoRAs; Stable Diffusion 1.x, 2.x or XL.

        pipe = StableDiffusionPipeline.from_pretrained(...)
        faceid_cli.attach(pipe, "alice", "bob.safetensors")
        pipe("a photo of <alice> and <bob> in Paris").images[0].save("paris.png")

    Prompts without marks are rendered as before, with a warning. In those with marks, `(words:1.3)` is emphasis, and
    what is too long is an error.

    Args:
        pipe: The pipeline, loaded.
        people: Enrolled people by name, and files that `faceid export` wrote; "FILE:NAME" gives another name.
        likeness: How much of the people: 0 anybody of the class, 1 all, up to 2.
        likeness_keys: The same for the keys alone.
        likeness_values: The same for the values alone.
        stages: Stages with the people, 1 the noisiest; all of them if empty.

    Returns:
        Has `detach()`, and is a context manager that does it.

    Raises:
        UnknownNameError: Nobody of that name.
        IdentityFileError: A file is missing or damaged.
        ModelError: In its subclasses: the pipeline is of another kind, or has text encoders of another width.
        UsageError: No people, one name for two, people attached already, or a dial that cannot be.
    """
    dials = RenderConfig.of(
        likeness=likeness, likeness_keys=likeness_keys, likeness_values=likeness_values, stages=stages
    ).dials
    found: dict[str, IdentityFile] = {}
    for person in people:
        name, stored = _read(person)
        if name in found:
            raise UsageError(f"{name} is given more than once", "give another name: FILE:NAME")
        found[name] = stored
    if not found:
        raise UsageError("no person to attach", "give names of enrolled people, or files that `faceid export` wrote")
    from faceid_cli.export.attach import Attached
    from faceid_cli.tokens import tokens_from_arrays

    tokens = {
        name: tokens_from_arrays(stored.keys, stored.values, stored.metadata.class_word)
        for name, stored in found.items()
    }
    return Attached(pipe, tokens, dials)


def _read(person: str | Path) -> tuple[str, IdentityFile]:
    path, colon, name = str(person).rpartition(":")
    if not colon or "/" in name or "\\" in name or user_path(person).exists():
        path, name = str(person), ""
    if path.endswith(".safetensors"):
        stored = load_identity(user_path(path))
        name = name or stored.metadata.name
        check_name(name)
        return name, stored
    with Registry.open(create=False) as registry:
        enrolled = registry.get(str(person))
    return enrolled.name, load_identity(enrolled.path)
