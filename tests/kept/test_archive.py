"""Archives that were changed: what is read is what was written, or they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceid_cli.errors import BackupFileError
from faceid_cli.kept.archive import REGISTRY, read_archive, write_archive


@pytest.mark.parametrize("mask", [0x01, 0x55, 0xFF])
def test_an_archive_with_any_byte_changed_is_refused_or_read_as_it_was(tmp_path: Path, mask: int) -> None:
    file, content = tmp_path / "all.zip", b"rows of people " * 3
    write_archive(file, [(REGISTRY, content)])
    whole = file.read_bytes()
    refused = 0
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
        folder = tmp_path / f"{place}"
        folder.mkdir()
        try:
            read_archive(file, folder)
        except BackupFileError:
            refused += 1
        else:
            assert (folder / REGISTRY).read_bytes() == content, f"byte {place}"
    assert refused > 0.5 * len(whole)
