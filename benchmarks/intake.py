"""How fast photos become crops, against facexlib's own loop on the same files, and how much memory that takes.

    python benchmarks/intake.py --photo PORTRAIT.jpg --photos 40 --rounds 5
    python benchmarks/intake.py --photo PORTRAIT.jpg --photos 1000 --memory

Both sides decode JPEG files, find faces at 640 px with the same weights, and cut the largest face out at 512 px. The
sides take turns within one run. Both are written to benchmarks/results/intake.json, with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import torch
from facexlib.utils.face_restoration_helper import get_largest_face
from PIL import Image

from faceid_cli.faces.crop import FACE_SHARE, crop_face
from faceid_cli.faces.look import look_at_photos
from faceid_cli.faces.photographs import PhotographFaceFinder

RESULTS = Path(__file__).parent / "results" / "intake.json"
CROP_PX, SEARCH_PX = 512, 640


def write_photos(folder: Path, photo: Path, count: int, longest_px: int) -> list[Path]:
    """Write variants of one photo, as a phone would store them; no two are the same."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    scale = longest_px / max(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    files = []
    for number in range(count):
        shift = number % 40
        files.append(folder / f"{number:04d}.jpg")
        image.crop((shift, shift, image.width - 40 + shift, image.height - 40 + shift)).save(files[-1], quality=90)
    return files


def ours(files: list[Path], finder: PhotographFaceFinder) -> Iterator[Image.Image]:
    """The way that `faceid enroll` takes."""
    for look, photo in look_at_photos(files, finder):
        if photo is not None and look.faces:
            face = max(look.faces, key=lambda found: found.box.area)
            yield crop_face(photo, face, CROP_PX).image


def theirs(files: list[Path], finder: PhotographFaceFinder) -> Iterator[Any]:
    """facexlib's own loop, as its helper for restoring faces does it: one photo after the other, with OpenCV."""
    detector = finder._detector._network
    for file in files:
        image = cv2.imread(str(file))
        assert image is not None, file
        height, width = image.shape[:2]
        scale = SEARCH_PX / max(height, width)
        small = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        with torch.no_grad():
            rows = detector.detect_faces(small, 0.8)
        if len(rows):
            left, top, right, bottom = (get_largest_face(rows, *small.shape[:2])[0] / scale)[:4]
            side = max(right - left, bottom - top) / FACE_SHARE
            x, y = (left + right) / 2, (top + bottom) / 2
            matrix = np.array([[CROP_PX / side, 0, CROP_PX / 2 - x * CROP_PX / side]] * 2)
            matrix[1] = [0, CROP_PX / side, CROP_PX / 2 - y * CROP_PX / side]
            yield cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), borderMode=cv2.BORDER_REPLICATE)


def speeds(files: list[Path], finder: PhotographFaceFinder, rounds: int) -> dict[str, list[float]]:
    """Photos per second of each side, a number a round; the sides take turns, and the first round is not counted."""
    found: dict[str, list[float]] = {"faceid": [], "facexlib": []}
    for number in range(rounds + 1):
        for name, side in (("faceid", ours), ("facexlib", theirs)):
            started = time.perf_counter()
            crops = sum(1 for _ in side(files, finder))
            assert crops == len(files), f"{name}: {crops} of {len(files)}"
            if number:
                found[name].append(len(files) / (time.perf_counter() - started))
    return found


def memory(files: list[Path], finder: PhotographFaceFinder) -> dict[str, Any]:
    """Resident memory in MiB after each tenth of the photos."""
    process, seen = psutil.Process(), []
    for number, _ in enumerate(ours(files, finder), start=1):
        if number % max(len(files) // 10, 1) == 0:
            seen.append(round(process.memory_info().rss / 2**20))
    return {"photos": len(files), "mib_by_tenth": seen, "growth_after_the_first_tenth_mib": seen[-1] - seen[0]}


def main() -> None:
    """Run the benchmark and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True, help="a photograph with one face")
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--longest-px", type=int, default=2000, help="longest side of the photos")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    finder = PhotographFaceFinder.load(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        files = write_photos(Path(folder), arguments.photo, arguments.photos, arguments.longest_px)
        if arguments.memory:
            result: dict[str, Any] = {"memory": memory(files, finder)}
        else:
            rounds = speeds(files, finder, arguments.rounds)
            median = {name: round(statistics.median(values), 2) for name, values in rounds.items()}
            ratio = [a / b for a, b in zip(rounds["faceid"], rounds["facexlib"], strict=True)]
            result = {
                "speed": {
                    "photos_per_second": median,
                    "times_as_fast_median": round(statistics.median(ratio), 2),
                    "times_as_fast_range": [round(min(ratio), 2), round(max(ratio), 2)],
                    "photos": arguments.photos,
                    "longest_px": arguments.longest_px,
                    "rounds": arguments.rounds,
                }
            }
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    machine = {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": arguments.device}
    kept |= {**result, "machine": machine | {"python": platform.python_version(), "cpu": platform.machine()}}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
