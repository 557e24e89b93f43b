"""Gathering what a report shows: from the registry, and from what is kept with the person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from faceid_cli.faces.marks import mark_crop, mark_faces
from faceid_cli.kept.material import INDEX, SCORES, material_folder, preview_files, read_json
from faceid_cli.kept.settings import fields_with_defaults
from faceid_cli.orders import EnrolOrder, ModelOptions
from faceid_cli.orders.replay import enrol_command
from faceid_cli.photo_files import opened_picture
from faceid_cli.registry.base_models import ModelScore, names_of_sources, scores_of
from faceid_cli.registry.records import Run
from faceid_cli.registry.run_record import RunRecord
from faceid_cli.registry.sources import without_folders
from faceid_cli.registry.store import Registry
from faceid_cli.report import MapColumn, ReportContent, ReportPhoto, ReportPicture, ScoreTable
from faceid_cli.report.attention_maps import AttentionMaps
from faceid_cli.report.rendered import losses_in_words, rendered_pictures
from faceid_cli.types import Box, Face, Identity
from faceid_cli.version import __version__

_MOST_SHOWN = 60
"""Photos with pictures: a page with more of them is slow on a phone."""

_COLUMNS = {
    "identity": "ID",
    "likeness_percent": "likeness %",
    "prompt": "prompt",
    "identity_of_prompt": "ID(P)",
    "one_face": "one face",
    "attention_inside": "in face",
}


def gather(person: Identity, run: Run | None, maps: AttentionMaps | None, maps_missing: str) -> ReportContent:
    """Return everything that a person's report shows.

    Args:
        person: The enrolled person whom the report is about.
        run: Their last training run; None where it happened on another machine.
        maps: Attention before and after, or None.
        maps_missing: Why there are none.
    """
    record = RunRecord.of(run.run.settings if run else person.method)
    order = record.order(person) if run else None
    photos = _photos(person.id, set(record.held_out_files.values()))
    previews = _previews(person.id)
    pictures = rendered_pictures(person, maps, previews)
    tables = _scores(person)
    always = fields_with_defaults(EnrolOrder)
    return ReportContent(
        name=person.name,
        facts=_facts(person),
        photos=photos,
        photos_note="" if photos else _no_photos(run),
        settings=_settings(without_folders(person.base_model, record.method)[1]),
        losses=run.run.losses if run else (),
        training_note=_training_note(run),
        rendered=pictures,
        rendered_note="" if pictures else f"None yet: `faceid generate {person.name} PROMPT` makes one.",
        previews=previews,
        previews_note=_previews_note(person, record, bool(previews)),
        maps=_columns(maps),
        maps_note=_maps_note(person, maps) or maps_missing,
        scores=tables,
        scores_note="docs/evaluation.md says what the columns are."
        if tables
        else f"None yet: `faceid evaluate {person.name}` scores likeness and obedience to prompts.",
        command=enrol_command(_with_names(order), always) if order else "",
        whole_command=enrol_command(order, always) if order else "",
        command_note="This command repeats the enrolment, in the place of this one, where the photos are. "
        "Of files and folders it has the names alone."
        if order
        else "How to repeat the enrolment is not known here: there is no record of it.",
        version=__version__,
    )


def _facts(person: Identity) -> dict[str, str]:
    return {
        "class word": person.class_word,
        "learned on": f"{_known(names_of_sources(), person.base_model)} ({person.base_fingerprint})",
        "photos": str(len(person.photo_hashes)),
        "created": person.created,
        "tags": ", ".join(person.tags),
        "note": person.note,
        "consent": person.consent,
    }


def _with_names(order: EnrolOrder) -> EnrolOrder:
    """The order with the names of files and folders where it has whole paths: a report may be given to others."""
    options, model = order.options or ModelOptions(), order.model or ""
    model, learned = without_folders(model, options.kept())
    named = ModelOptions.learned(learned)
    return replace(
        order,
        photos=tuple(Path(photo.name) if photo.is_absolute() else photo for photo in order.photos),
        model=model or None,
        options=replace(options, vae=named.vae, loras=named.loras),
    )


def _known(names: Mapping[str, str], source: str) -> str:
    """A base model by its name, or that of its file."""
    return names.get(source) or without_folders(source, {})[0]


def _settings(settings: Mapping[str, Any]) -> dict[str, str]:
    shown = {key.replace("_", " "): str(value) for key, value in settings.items() if key != "model_options"}
    options = ModelOptions.learned(settings).kept().get("model_options", {})
    return shown | {f"model {key}": str(value) for key, value in options.items() if value}


def _training_note(run: Run | None) -> str:
    if run is None:
        return "This person came from a file. How the training went is known where it happened."
    resumed = f", resumed at step {run.run.resumed_from}" if run.run.resumed_from else ""
    return f"{len(run.run.losses)} steps in {run.run.seconds:.0f} s{resumed}. {losses_in_words(run.run.losses)}".strip()


# Photos


def _no_photos(run: Run | None) -> str:
    if run is None:
        return "This person came from a file, and photos do not travel with it."
    return "No photos were kept (--no-keep-photos, or an enrolment by an older version)."


def _photos(identity_id: str, held_out: Collection[object]) -> list[ReportPhoto]:
    index = read_json(identity_id, INDEX)
    if index is None:
        return []
    folder = material_folder(identity_id)
    crops: dict[str, list[dict[str, Any]]] = {}
    for entry in _dicts(index.get("crops")):
        for key in {str(entry.get("photo_sha256")), str(entry.get("photo"))}:
            crops.setdefault(key, []).append(entry)
    found: list[ReportPhoto] = []
    for record in _dicts(index.get("photos")):
        name, pictures = str(record.get("photo", "")), []
        if len(found) < _MOST_SHOWN and record.get("verdict") != "left out":
            own = crops.get(str(record.get("photo_sha256"))) or crops.get(name, [])
            try:
                pictures = [*_whole(folder, record), *(crop for entry in own for crop in _crop(folder, entry))]
            except (
                Exception
            ):  # of damaged numbers drawing raises nearly anything, and they cost their own pictures only
                pictures = []
        said = record.get("reasons")
        reasons = [str(reason) for reason in said] if isinstance(said, list) else []
        if str(record.get("photo_sha256")) in held_out:
            reasons.append("held out: nothing was learned from it")
        found.append(ReportPhoto(name, str(record.get("verdict", "")), reasons, pictures))
    return found


def _whole(folder: Path, record: Mapping[str, Any]) -> list[ReportPicture]:
    """The photo with its faces numbered; empty where it was not kept."""
    image = _picture(folder, record.get("thumbnail"))
    if image is None:
        return []
    faces = [_face(face) for face in _dicts(record.get("faces"))]
    chosen = record.get("chosen")
    width, height = record.get("size") or image.size
    marked = mark_faces(image, faces, (width, height), None if chosen is None else chosen - 1)
    return [ReportPicture(marked, f"photo, {width} x {height} px")]


def _crop(folder: Path, entry: Mapping[str, Any]) -> list[ReportPicture]:
    image, mask = _picture(folder, entry.get("crop")), _picture(folder, entry.get("mask"), "L")
    if image is None:
        return []
    face = _face(entry["face"]) if isinstance(entry.get("face"), dict) else None
    others = [Box(**box) for box in _dicts(entry.get("others"))]
    if mask is not None and mask.size != image.size:
        mask = None
    return [ReportPicture(mark_crop(image, face, mask if face else None, others), "crop, with landmarks and mask")]


def _face(data: Mapping[str, Any]) -> Face:
    return Face(Box(**data["box"]), tuple((x, y) for x, y in data["landmarks"]), float(data["score"]))


def _picture(folder: Path, name: object, mode: str = "RGB") -> Image.Image | None:
    """A kept picture; None where it is gone or damaged."""
    if not isinstance(name, str):
        return None
    try:
        with opened_picture(folder / Path(name).name) as image:
            return image.convert(mode)
    except Exception:  # decoders raise nearly anything on damaged files
        return None


# Samples and maps


def _previews(identity_id: str) -> list[ReportPicture]:
    folder = material_folder(identity_id)
    pictures = [(step, _picture(folder, path.name)) for step, path in preview_files(folder).items()]
    return [
        ReportPicture(picture, f"{step} step" if step == 1 else f"{step} steps")
        for step, picture in pictures
        if picture is not None
    ]


def _previews_note(person: Identity, record: RunRecord, there: bool) -> str:
    if not there:
        return "No samples: `faceid enroll --preview-every N` keeps one every N steps."
    prompt = str(record.request.get("preview", "")).replace("{name}", f"<{person.name}>")
    return f'"{prompt}", seed {record.method.get("seed", 0)}, after so many steps of training.'


def _columns(maps: AttentionMaps | None) -> list[MapColumn]:
    if maps is None:
        return []
    found = []
    for label, before, after in zip(maps.labels, maps.before, maps.after, strict=True):
        pictures = _picture(before.parent, before.name), _picture(after.parent, after.name)
        if pictures[0] is not None and pictures[1] is not None:
            found.append(MapColumn(label, pictures[0], pictures[1]))
    return found


def _maps_note(person: Identity, maps: AttentionMaps | None) -> str:
    if maps is None:
        return ""
    return (
        f'"{maps.prompt}", seed {maps.seed}: the lighter, the more a place looks at the person\'s token; '
        f'before, "{person.class_word}" stands there. Maps of one name share their scale.'
    )


# Scores


def _scores(person: Identity) -> list[ScoreTable]:
    with Registry.open(create=False) as registry:
        tested = scores_of(registry, person.id)
    kept = read_json(person.id, SCORES)
    return [*([] if kept is None else [_evaluation(kept)]), *([_models(tested)] if tested else [])]


def _evaluation(kept: Mapping[str, Any]) -> ScoreTable:
    groups = kept.get("groups")
    rows = list(groups.items()) if isinstance(groups, dict) else []
    rows.append(("all", kept.get("summary", {})))
    title = f"Evaluation of {kept.get('created', '')}, judge {kept.get('judge', '')}"
    heading = ["prompts", "pictures", *_COLUMNS.values()]
    return ScoreTable(
        title,
        heading,
        [
            [str(group), str(scores.get("pictures", "")), *(_number(scores.get(key)) for key in _COLUMNS)]
            for group, scores in rows
            if isinstance(scores, dict)
        ],
    )


def _models(tested: Sequence[ModelScore]) -> ScoreTable:
    keys = list(dict.fromkeys(key for score in tested for key in score.scores))
    names = names_of_sources()
    rows = [
        [_known(names, score.source), score.created, *(_number(score.scores.get(key)) for key in keys)]
        for score in tested
    ]
    return ScoreTable("On other base models", ["base model", "tested", *(key.replace("_", " ") for key in keys)], rows)


def _number(value: object) -> str:
    try:
        return f"{value:.2f}" if isinstance(value, int | float) else "-"
    except OverflowError:  # the file may be somebody else's
        return "-"


def _dicts(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
