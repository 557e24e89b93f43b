"""Taking in a person from a file."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

import numpy as np

from faceid_cli.errors import IdentityFileError, ModelNotFoundError, UnsupportedModelError, UsageError
from faceid_cli.export.bundle import SUFFIX, read_bundle
from faceid_cli.kept.files import make_folder, make_private
from faceid_cli.kept.foreign import open_file
from faceid_cli.kept.identity_file import IdentityFile, has_identity, load_identity, save_identity
from faceid_cli.kept.material import material_folder
from faceid_cli.model_files import fingerprint_of
from faceid_cli.model_files.weight_file import PICKLES
from faceid_cli.model_files.widths import token_widths
from faceid_cli.orders import ModelOptions
from faceid_cli.orders.checks import check_class_word, user_path
from faceid_cli.orders.kinds import fitted
from faceid_cli.registry.engine import plain_errors
from faceid_cli.registry.journal import Journal
from faceid_cli.registry.names import check_name, is_name
from faceid_cli.registry.records import NewIdentity, NewRun
from faceid_cli.registry.rows import name_taken
from faceid_cli.registry.sources import chosen_source, source_of_fingerprint
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity, OnNote

INVERSION = "textual-inversion-file"
"""What the method of a person is called who came from a textual-inversion file."""


@dataclass(frozen=True)
class _Found:
    """A person in a file, checked: their features, and in bundles what else belongs to them."""

    new: NewIdentity
    keys: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    run: NewRun | None = None
    material: tuple[Path, ...] = ()

    def write(self, identity: Identity) -> None:
        """Write the person's file, and the material, to where the registry wants them."""
        if self.material:
            folder = material_folder(identity.id)
            make_folder(folder)
            for file in self.material:
                shutil.copyfile(file, folder / file.name)
            make_private(folder)
        save_identity(identity.path, self.keys, self.values, self.new.metadata())


def import_identity(
    file: Path | str,
    *,
    name: str | None = None,
    replace: bool = False,
    tags: Sequence[str] | str = (),
    note: str = "",
    model: str | None = None,
    class_word: str | None = None,
    on_note: OnNote | None = None,
) -> Identity:
    """Take in a person from a file that `export_identity` wrote, or from a textual inversion of another program.

    The file is checked before anything is written; nothing in it can run. A textual inversion becomes a person of one
    stage with equal keys and values.

    Args:
        file: A safetensors file of faceid. Or a textual inversion of AUTOMATIC1111, ComfyUI, kohya, InvokeAI or
            diffusers: .safetensors, .pt or .bin; of two for Stable Diffusion XL either, or their folder.
        name: Another name than the one in the file; a textual inversion's is that of its file.
        replace: Whether a person of that name gives way.
        tags: More words to find the person by.
        note: Instead of the note in the file.
        model: The base model that a textual inversion is for; the user's own by default.
        class_word: What the person of a textual inversion is; "person" by default.
        on_note: Called with a line worth telling the user.

    Raises:
        IdentityFileError: Not such a file, or a damaged one.
        ModelMismatchError: A textual inversion for another family of base models.
        InvalidNameError, NameTakenError: The name cannot be used.
    """
    people = import_people(
        file,
        name=name,
        replace=replace,
        tags=tags,
        note=note,
        model=model,
        class_word=class_word,
        on_note=on_note,
        most=1,
    )
    return people[0]


def import_people(
    file: Path | str,
    *,
    name: str | None = None,
    replace: bool = False,
    tags: Sequence[str] | str = (),
    note: str = "",
    model: str | None = None,
    class_word: str | None = None,
    on_note: OnNote | None = None,
    most: int | None = None,
) -> list[Identity]:
    """The same for everybody in a file: all of them, or nobody where anything is wrong.

    Beside the files of `import_identity`, takes bundles that `export_bundle` wrote, with what belongs to the people.
    `most` says how many people there may be.

    Raises:
        UsageError: More people than that, or one name for several.
        IdentityFileError, ModelMismatchError, InvalidNameError, NameTakenError: As `import_identity`.
    """
    if name is not None:
        check_name(name)
    tags = fitted("tags", tuple[str, ...], tags)
    path = user_path(file)
    with ExitStack() as stack:
        is_inversion = False
        if _is_bundle(path):
            found = _bundled(path, stack, name, tags, note, on_note, most)
        elif is_inversion := _is_foreign(path):
            found = [_inversion(path, name, tags, note, model, check_class_word(class_word or "person"))]
        else:
            found = [_native(path, load_identity(path), name, tags, note, on_note)]
        if (model is not None or class_word is not None) and not is_inversion:
            raise UsageError(
                f"{path} says itself what it was learned on", "--model and --class are for textual inversions of others"
            )
        people = _kept(found, replace)
    for person in people:
        added = ModelOptions.learned(person.method)
        for option, needed in (("--vae", added.vae), *(("--lora", lora) for lora in added.loras or ())):
            if needed is not None and on_note:
                on_note(f"{person.name} was learned with {option} {needed}: say where that file is when you render")
    return people


def _kept(found: Sequence[_Found], replace: bool) -> list[Identity]:
    """Keep everybody. Where that fails half-way, who is new goes again; whom somebody has replaced stays replaced."""
    names = [each.new.name.lower() for each in found]
    if len(set(names)) < len(names):
        raise IdentityFileError("two people in the bundle have one name", "export them again")
    kept: list[Identity] = []
    with Registry.open() as registry:
        there = [known.name for each in found if (known := registry.find(each.new.name)) is not None]
        if there and not replace:
            raise name_taken(there[0])
        keep = registry.replace_identity if replace else registry.add_identity
        try:
            for each in found:
                kept.append(keep(each.new, each.write, each.run))
        except BaseException:
            for person in kept:
                if person.name.lower() not in map(str.lower, there):
                    registry.remove(person.name)
            raise
    return kept


def _is_bundle(path: Path) -> bool:
    if path.suffix.lower() == SUFFIX:
        return True
    try:
        with open_file(path) as opened:
            return path.suffix.lower() not in PICKLES and opened.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _bundled(
    path: Path,
    stack: ExitStack,
    name: str | None,
    tags: Sequence[str],
    note: str,
    on_note: OnNote | None,
    most: int | None,
) -> list[_Found]:
    """Everybody in a bundle; what is unpacked stays as long as the stack is open."""
    if not path.is_file():
        raise IdentityFileError(f"there is no file {path}", "faceid export NAME --bundle FILE writes one")
    with Registry.open() as registry:
        registry.check_writable()
        with plain_errors(registry.file):
            folder = stack.enter_context(Journal(registry.file).stage())
            people = read_bundle(path, folder)
    if name is not None and len(people) > 1:
        raise UsageError(f"{path} holds {len(people)} people, who cannot all be {name}", "leave out --name")
    if most is not None and len(people) > most:
        raise UsageError(f"{path} holds {len(people)} people", "take them all in with `faceid import`")
    found = []
    for person in people:
        each = _native(path, person.stored, name, tags, note, on_note)
        found.append(replaced(each, run=person.run, material=person.material))
    return found


def _is_foreign(path: Path) -> bool:
    """Whether a file is to be read as a textual inversion: what faceid wrote says so itself."""
    if path.is_dir() or path.suffix.lower() in PICKLES:
        return True
    return path.suffix.lower() == ".safetensors" and path.is_file() and not has_identity(path)


def _native(
    path: Path, stored: IdentityFile, name: str | None, tags: Sequence[str], note: str, on_note: OnNote | None
) -> _Found:
    found = stored.metadata
    source = source_of_fingerprint(found.base_model, found.base_fingerprint)
    if source is None and on_note:
        on_note(f"the base model {found.base_model} ({found.base_fingerprint}) is not on this machine: give --model")
    more = found.extra.get("tags", ())
    try:
        new = NewIdentity(
            name=name or found.name,
            class_word=found.class_word,
            base_model=source or found.base_model,
            base_fingerprint=found.base_fingerprint,
            method=found.method,
            photo_hashes=found.photo_hashes,
            tags=tuple(dict.fromkeys([*(str(tag) for tag in more), *tags])),
            note=note or found.note,
            consent=str(found.extra.get("consent", "")),
            num_train_timesteps=found.num_train_timesteps,
        )
    except UsageError as error:
        raise IdentityFileError(f"{path} cannot be imported: {error.message}", error.hint) from error
    return _Found(new, stored.keys, stored.values)


def _inversion(
    path: Path, name: str | None, tags: Sequence[str], note: str, model: str | None, class_word: str
) -> _Found:
    name = name or _name_of(path)
    source = chosen_source(model)
    widths, fingerprint = token_widths(source), fingerprint_of(source)
    from faceid_cli.tokens import arrays_from_tokens, embedding_for

    try:
        tokens = embedding_for(path, widths)
    except (UnsupportedModelError, ModelNotFoundError) as error:
        raise IdentityFileError(
            f"{path} is neither a person of faceid nor a textual inversion: {error.message}", error.hint
        ) from error
    keys, values = arrays_from_tokens(tokens)
    new = NewIdentity(name, class_word, source, fingerprint, {"method": INVERSION}, tags=tuple(tags), note=note)
    return _Found(new, keys, values)


def _name_of(path: Path) -> str:
    """The name of a textual inversion: its file's, or of files whose names say nothing their folder's."""
    stem = path.resolve().name if path.is_dir() else path.stem
    if re.match("learned_embeds", stem):
        stem = path.resolve().parent.name
    name = re.sub("[^A-Za-z0-9_-]+", "-", stem).strip("-")[:64]
    if not is_name(name):
        raise UsageError(f"{path} has no name that a person can have", "give one with --name")
    return name
