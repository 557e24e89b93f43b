"""What is kept of how a person was learned: typed here, one flat JSON object in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from faceid_cli.errors import UsageError
from faceid_cli.orders import PRESETS, EnrolOrder, ModelOptions, TrainConfig
from faceid_cli.orders.enrolling import order_from
from faceid_cli.registry.store import Registry
from faceid_cli.types import Identity

_SETTINGS = {each.name for each in fields(TrainConfig)}


@dataclass(frozen=True)
class RunRecord:
    """How a person was learned.

    Attributes:
        method: The fields of `TrainConfig`, settled, and with "model_options" how the base model was loaded.
        photo_files: Absolute paths of the photos that were learned from; they are kept on this machine only.
        held_out_files: The SHA-256 of those that were not, by their paths.
        faces: Which face of each photo was chosen, counted from 1, by its path.
        face: How it was to be chosen where photos show several; None where that is not known.
        request: What the order said of the photos, see `EnrolOrder.request`; empty in records of older versions.
        consent_photos: The photos that what the person said speaks of, by `photo_key`; empty where nobody was asked.
    """

    method: dict[str, Any]
    photo_files: tuple[str, ...] = ()
    held_out_files: dict[str, str] = field(default_factory=dict)
    faces: dict[str, int] = field(default_factory=dict)
    face: str | int | None = None
    request: dict[str, Any] = field(default_factory=dict)
    consent_photos: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the registry keeps it."""
        rest = asdict(self)
        lists = {"photo_files": list(self.photo_files), "consent_photos": list(self.consent_photos)}
        return {**rest.pop("method"), **rest, **lists}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> RunRecord:
        """Read it back; what is missing or of another type is left as it is by default."""
        own = {each.name for each in fields(cls)} - {"method"}
        given: dict[str, Any] = {"method": {key: value for key, value in settings.items() if key not in own}}
        for name, kind in (("held_out_files", dict), ("faces", dict), ("request", dict), ("face", str | int)):
            if isinstance(settings.get(name), kind):
                given[name] = settings[name]
        for name in ("photo_files", "consent_photos"):
            if isinstance(settings.get(name), list | tuple):
                given[name] = tuple(map(str, settings[name]))
        return cls(**given)

    @property
    def was_detected(self) -> bool:
        """Whether faces were looked for."""
        return bool(self.request) and self.request.get("detect") is not False

    def order(self, person: Identity) -> EnrolOrder | None:
        """The order that would learn the person again; None where the record does not suffice."""
        photos = self.request.get("photos") or list(self.photo_files)
        if not isinstance(preset := self.method.get("method"), str) or preset not in PRESETS or not photos:
            return None
        known = {name: value for name, value in self.method.items() if name in _SETTINGS}
        options = {**asdict(ModelOptions.learned(self.method)), "low_vram": bool(self.request.get("low_vram"))}
        more = {"tags": person.tags, "note": person.note, "consent": person.consent, "model": person.base_model}
        try:
            config = replace(PRESETS[preset], **known)
            request = {**self.request, "photos": photos, "face": self.face}
            return order_from(person.name, request, config, ModelOptions(**options), **more)
        except (UsageError, TypeError, ValueError, AttributeError):  # of a damaged record
            return None


def last_record(person: Identity) -> RunRecord | None:
    """How a person was learned the last time; None where that happened on another machine."""
    with Registry.open(create=False) as registry:
        runs = registry.runs_of(person.name)
    return RunRecord.of(runs[-1].run.settings) if runs else None
