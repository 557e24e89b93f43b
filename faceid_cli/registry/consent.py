"""What people said to being learned: found again by their photos, so that nobody has to be asked twice."""

from __future__ import annotations

from collections.abc import Collection

from faceid_cli.registry.run_record import RunRecord
from faceid_cli.registry.store import Registry
from faceid_cli.types import Box


def photo_key(sha256: str, face: int | None, box: Box | None = None) -> str:
    """Whom a photo shows: its hash, and which face of it is meant, since two people may be learned from one photo.

    Args:
        sha256: Hex digest of the photo's bytes.
        face: The face's number from the left, from 1; None where none was looked for.
        box: Where the face is, if that was said; in pixels of the photo.
    """
    where = "" if box is None else f"@{box.x:g},{box.y:g},{box.width:g},{box.height:g}"
    return sha256 + ("" if face is None else f"#{face}") + where


def known_consent(photos: Collection[str]) -> str | None:
    """What was said about all of these photos when somebody was learned from them, the newest answer.

    Args:
        photos: Their keys, see `photo_key`.

    Returns:
        The answer, "" if nothing was said to the question; None where nobody has been asked about all of them.

    Raises:
        RegistryError: The registry cannot be read.
    """
    wanted, hashes = set(photos), {key[:64] for key in photos}
    found: list[tuple[str, str]] = []
    with Registry.open(create=False) as registry:
        for person in registry.list():
            if not hashes & set(person.photo_hashes):
                continue
            runs = registry.runs_of(person.name)
            asked = set(RunRecord.of(runs[-1].run.settings).consent_photos) if runs else set()
            if wanted and wanted <= asked:
                found.append((person.created, person.consent))
    return max(found)[1] if found else None
