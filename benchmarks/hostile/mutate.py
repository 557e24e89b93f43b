"""Changes to good files: bytes that were damaged, and words that somebody chose."""

from __future__ import annotations

import json
import random
import struct
from copy import deepcopy
from typing import Any

_DEEP: Any = None
for _ in range(60):
    _DEEP = [_DEEP]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**62, 2**63, 2**64, 10**30, 10**400, 1e308, -0.5, float("nan"), float("inf"),
    "", " ", "\0", "\ud800", "\udcff", "\x1b]0;title\x07", "\x1b[2J", "\x1b]52;c;eA==\x07", "\x9b31m", "\u202ex",
    "\x7f",
    "../../../etc/passwd", "/dev/zero", "/proc/self/mem", "//host/share", "\\\\host\\share", "~nobody-here/x",
    "http://127.0.0.1:9/x", "someone/else", "builtin", "os", "evil", "x" * 5000, "a/" * 3000, "F32", "F64", "1e999",
    [], {}, [[]], {"a": {}}, ["x"], [1, 2], [None, None], ["evil", "EvilScheduler"], ["diffusers", "DiffusionPipeline"],
    ["transformers", "AutoModel"], ["builtins", "eval"], [0] * 50, [10**9], {"x": "y"}, _DEEP,
)  # fmt: skip
"""Values that stand where others were expected."""


def changed_json(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value with one to three places changed."""
    copy = json.loads(json.dumps(value))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        copy = _changed(copy, chance)
    return copy


def _changed(value: Any, chance: random.Random) -> Any:
    places = list(_places(value))
    if not places or chance.random() < 0.01:
        return deepcopy(chance.choice(NASTY))
    holder, key = chance.choice(places)
    what = chance.random()
    if what < 0.6:
        holder[key] = deepcopy(chance.choice(NASTY))
    elif what < 0.75:
        del holder[key]
    elif what < 0.9 and isinstance(holder, dict):
        holder[str(chance.choice(NASTY))[:200]] = holder.pop(key)
    else:
        other, another = chance.choice(places)
        if isinstance(holder, dict) or key < len(holder):
            try:
                holder[key] = json.loads(json.dumps(other[another]))
            except (KeyError, IndexError):
                holder[key] = None
    return value


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in list(items):
        yield value, key
        yield from _places(each)


def json_text(value: Any, chance: random.Random) -> bytes:
    """As a file would hold it; now and then cut off, not UTF-8, or nested without end."""
    text = json.dumps(value).encode()
    what = chance.random()
    if what < 0.03:
        return text[: chance.randrange(len(text) + 1)]
    if what < 0.05:
        return text.replace(b'"', b'"\xff', 1)
    if what < 0.06:
        return b"[" * 50_000 + text
    if what < 0.07:
        return text.replace(b":", b":" + b'{"a":' * 20_000, 1)
    return text


def changed_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bytes that were flipped, cut off, doubled, taken out or written over."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 5))):
        if not found:
            break
        place, what = chance.randrange(len(found)), chance.randrange(8)
        length = chance.choice((1, 2, 4, 8, 64, 512))
        if what == 0:
            found[place] ^= 1 << chance.randrange(8)
        elif what == 1:
            found[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif what == 2:
            del found[place:]
        elif what == 3:
            del found[place : place + length]
        elif what == 4:
            found[place:place] = found[place : place + length]
        elif what == 5:
            found[place:place] = chance.randbytes(length)
        elif what == 6:
            number = chance.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1))
            found[place : place + 8] = struct.pack("<Q", number)
        else:
            other = chance.randrange(len(found))
            found[place : place + length] = found[other : other + length]
    return bytes(found)


def safetensors_parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The list of tensors of a safetensors file, and what follows it."""
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def changed_safetensors(content: bytes, chance: random.Random, most: int = 60) -> bytes:
    """A safetensors file damaged as bytes, or with another list of tensors."""
    if chance.random() < 0.25:
        return changed_bytes(content, chance)
    header, rest = safetensors_parts(content)
    if len(header) > most and chance.random() < 0.5:  # only some of the tensors, whole and in order: parts are missing
        return without_some(header, rest, chance)
    text = json_text(changed_json(header, chance), chance)
    return struct.pack("<Q", len(text)) + text + rest


def without_some(header: dict[str, Any], rest: bytes, chance: random.Random) -> bytes:
    """A sound file that lacks tensors, or has them in other shapes or under other names."""
    kept, data = {}, b""
    share = chance.choice((0.02, 0.1, 0.5))
    for name, entry in header.items():
        if name == "__metadata__" or chance.random() < share:
            continue
        start, end = entry["data_offsets"]
        shape = list(entry["shape"])
        if chance.random() < 0.02:
            shape = chance.choice(([], [end - start], [1, *shape], shape[::-1]))
        size = 4
        for each in shape:
            size *= each
        body = rest[start:end]
        body = (body * (size // max(len(body), 1) + 1))[:size] if size < 1 << 16 else body
        if len(body) != size:
            shape = entry["shape"]
            body = rest[start:end]
        if chance.random() < 0.02:
            name = name.replace("0", chance.choice(("9", "999999999", "1", "", "0.0")), 1)
        kept[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    text = json.dumps(kept).encode()
    return struct.pack("<Q", len(text)) + text + data
