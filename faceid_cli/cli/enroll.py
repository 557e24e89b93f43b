"""`faceid enroll`: learn a person from photo files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from faceid_cli.cli import views
from faceid_cli.cli.options import (
    FACES,
    Compile,
    Device,
    Json,
    Lora,
    LowVram,
    Model,
    Precision,
    Preset,
    Quiet,
    Vae,
    Variant,
    Verbose,
    examples,
    model_options,
    one_of,
    parse_box,
    parse_settings,
)
from faceid_cli.cli.output import out
from faceid_cli.cli.progress import training_progress
from faceid_cli.cli.rendering import parse_batch
from faceid_cli.cli.terminal_pictures import show_preview
from faceid_cli.config import TrainConfig, pace_of
from faceid_cli.config import preset as preset_config

_SEFI = TrainConfig()
_USUAL, _NAMED, _OF_ONE_PHOTO = pace_of("class", 4), pace_of("regression", 4), pace_of("regression", 1)
EPILOG = examples(
    "faceid enroll alice photos/alice",
    "faceid enroll bob group.jpg --face left --class man --steps 500 --replace",
)


def enroll(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, - and _, 1 to 64 of them.")],
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS", help="Picture files, or folders of them.")],
    preset: Preset = "sefi",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            help=f"Optimiser steps; sefi: {_USUAL.steps}, on the built-in model {_NAMED.steps}, of one photo "
            f"{_OF_ONE_PHOTO.steps}.",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            metavar="X",
            help=f"Of AdamW; sefi: {_USUAL.learning_rate:g}, on the built-in model of one photo "
            f"{_OF_ONE_PHOTO.learning_rate:g}.",
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch",
            metavar="N",
            help=f"Crops per step; {_SEFI.batch_size} for sefi. auto halves that until it fits into memory.",
        ),
    ] = None,
    stages: Annotated[
        int | None, typer.Option("--stages", metavar="N", help=f"Timestep stages; {_SEFI.stages} for sefi.")
    ] = None,
    kv_split: Annotated[
        bool | None, typer.Option("--kv-split/--no-kv-split", help="Separate key and value features.")
    ] = None,
    vectors: Annotated[
        int | None, typer.Option("--vectors", metavar="N", help=f"Vectors per feature; {_SEFI.vectors} for sefi.")
    ] = None,
    attention_weight: Annotated[
        float | None,
        typer.Option(
            "--lambda",
            metavar="X",
            help=f"Weight of the face-wise attention loss, 0 for none; {_SEFI.attention_weight:g} for sefi.",
        ),
    ] = None,
    class_word: Annotated[
        str | None, typer.Option("--class", metavar="WORD", help="What they are: person, woman, man, ..., dog, car.")
    ] = None,
    templates: Annotated[
        str | None,
        typer.Option(
            "--templates",
            metavar="SET",
            help="Training sentences: face or photo.",
            autocompletion=one_of(("face", "photo")),
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="One seed, one result.")] = None,
    mirror: Annotated[bool, typer.Option("--mirror", help="Train on mirrored crops, too.")] = False,
    more: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="Any other training setting, such as warm_up=30."),
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option("--checkpoint-every", metavar="N", help="Steps; 0 only when interrupted.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted enrolment.")] = False,
    replace_old: Annotated[
        bool, typer.Option("--replace", help="Replace the person of that name, once the new one is complete.")
    ] = False,
    face: Annotated[
        str,
        typer.Option(
            "--face",
            metavar="WHICH",
            help="Where photos show several faces: auto (whom most photos show), only, largest, left, right, or a "
            "number from the left.",
            autocompletion=one_of(FACES),
        ),
    ] = "auto",
    no_detect: Annotated[bool, typer.Option("--no-detect", help="Take the photos whole; look for no face.")] = False,
    box: Annotated[
        str | None, typer.Option("--box", metavar="X,Y,W,H", help="Where the face is, in pixels of the photo.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first photo that cannot be used, instead of leaving it out.")
    ] = False,
    face_share: Annotated[
        float | None,
        typer.Option("--face-share", metavar="X", help="Height of the face as a share of the crop, such as 0.35."),
    ] = None,
    jitter: Annotated[
        int, typer.Option("--jitter", metavar="N", help="Further crops of each photo, moved and resized a little.")
    ] = 0,
    hold_out: Annotated[
        int, typer.Option("--hold-out", metavar="N", help="Learn nothing from the last N photos; evaluate with them.")
    ] = 0,
    no_keep_photos: Annotated[
        bool, typer.Option("--no-keep-photos", help="Keep no crops and masks for the report.")
    ] = False,
    preview_every: Annotated[
        int, typer.Option("--preview-every", metavar="N", help="Render a sample every N steps; 0 for none.")
    ] = 0,
    preview: Annotated[
        str, typer.Option("--preview", metavar="PROMPT", help="Of the samples; the person alone if not given.")
    ] = "",
    consent: Annotated[
        str | None,
        typer.Option("--consent", metavar="TEXT", help="What the person said to it; kept with them. Asked for once."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="May be repeated.")] = None,
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept with the person.")] = "",
    model: Model = None,
    variant: Variant = None,
    vae: Vae = None,
    lora: Lora = None,
    low_vram: LowVram = False,
    compile_: Compile = False,
    device: Device = None,
    precision: Precision = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Learn a person from photo files."""
    from faceid_cli.api.things import is_people_word, templates_for

    fitting = templates if templates is not None else templates_for(class_word, not no_detect)
    settings: dict[str, Any] = {
        "steps": steps,
        "learning_rate": learning_rate,
        "batch_size": None if batch in (None, "auto") else parse_batch(batch),
        "stages": stages,
        "split_keys_values": kv_split,
        "vectors": vectors,
        "attention_weight": attention_weight,
        "class_word": class_word,
        "templates": fitting,
        "seed": seed,
        "mirror": mirror or None,
        **parse_settings(more or ()),
        "checkpoint_every": checkpoint_every,
    }
    config = preset_config(preset, **settings, **views.machine(device, precision))
    rectangle = parse_box(box)
    if consent is None:
        consent = out.ask(f"What did {name} say to being learned? (Enter for nothing)")

    from faceid_cli import api
    from faceid_cli.api.material import material_folder

    with training_progress() as on_step:

        def on_preview(step: int, path: Path) -> None:
            on_step.make_room()
            show_preview(step, path)

        identity = api.enroll(
            name,
            photos,
            config=config,
            model=model,
            fit_batch=batch == "auto",
            options=model_options(variant, vae, lora, low_vram, compile_),
            face=face,
            replace=replace_old,
            resume=resume,
            detect=not no_detect,
            box=rectangle,
            strict=strict,
            face_share=face_share,
            jitter=jitter,
            hold_out=hold_out,
            keep_photos=not no_keep_photos,
            consent=consent,
            sheet=f"{name}-faces.png",
            preview_every=preview_every,
            preview=preview,
            on_preview=on_preview,
            tags=tuple(tag or ()),
            note=note,
            on_step=on_step,
            on_note=out.note,
        )
    out.result(
        {"command": "enroll", "identity": views.identity_data(identity)},
        [f"enrolled {identity.name} from {views.plural(len(identity.photo_hashes), 'photo')}"],
        [identity.name],
    )
    if preview_every:
        kept = material_folder(identity.id)
        out.note(f"the previews are now in {kept}; faceid report {identity.name} shows them")
    scene = "holding a basketball, eiffel tower" if is_people_word(identity.class_word) else "on the beach"
    out.hint(f'next: faceid generate {identity.name} "{scene}"')


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enroll", epilog=EPILOG)(enroll)
