"""Fictional people: an identity is a vector of traits, most of which no caption ever names."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

HAIR_STYLES: tuple[str, ...] = (
    "bald",
    "buzz cut",
    "short",
    "side part",
    "spiky",
    "afro",
    "curly",
    "bob",
    "long straight",
    "long wavy",
    "bun",
    "ponytail",
    "receding",
    "bowl cut",
)
BEARDS: tuple[str, ...] = ("none", "stubble", "moustache", "goatee", "full")
GLASSES: tuple[str, ...] = ("none", "round", "square", "cat eye")

# (probability of a style for women, for men)
_HAIR_ODDS = {
    "bald": (0.01, 0.10),
    "buzz cut": (0.02, 0.11),
    "short": (0.08, 0.14),
    "side part": (0.07, 0.13),
    "spiky": (0.04, 0.10),
    "afro": (0.08, 0.07),
    "curly": (0.10, 0.08),
    "bob": (0.13, 0.02),
    "long straight": (0.13, 0.04),
    "long wavy": (0.13, 0.04),
    "bun": (0.09, 0.02),
    "ponytail": (0.09, 0.02),
    "receding": (0.00, 0.09),
    "bowl cut": (0.03, 0.04),
}
# Natural hair colours; purple and white stay free for the captions that ask for them.
_HAIR_COLORS = np.array(
    [
        [0.11, 0.09, 0.09],
        [0.22, 0.14, 0.10],
        [0.36, 0.23, 0.14],
        [0.50, 0.32, 0.18],
        [0.48, 0.18, 0.10],
        [0.76, 0.38, 0.16],
        [0.83, 0.66, 0.38],
        [0.91, 0.79, 0.53],
        [0.50, 0.50, 0.52],
    ]
)
_SKINS = np.array([[0.98, 0.86, 0.78], [0.94, 0.76, 0.62], [0.80, 0.58, 0.42], [0.58, 0.38, 0.26], [0.36, 0.23, 0.17]])
_EYES = np.array([[0.25, 0.15, 0.08], [0.45, 0.28, 0.12], [0.25, 0.48, 0.30], [0.22, 0.45, 0.70], [0.45, 0.52, 0.58]])


@dataclass(frozen=True)
class Person:
    """A fictional person. Colours are RGB in 0..1; shape traits are deviations in -1..1, 0 being average."""

    woman: bool
    hair_style: str
    beard: str
    glasses: str
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    eyes: tuple[float, float, float]
    frame: tuple[float, float, float]
    head_width: float
    head_height: float
    jaw: float
    eye_size: float
    eye_spacing: float
    eye_tilt: float
    brow_thickness: float
    brow_tilt: float
    brow_height: float
    nose_length: float
    nose_width: float
    mouth_width: float
    lip_fullness: float
    lip_redness: float
    ear_size: float
    freckles: float
    blush: float
    mole: float
    mole_place: float
    earrings: float

    def vector(self) -> np.ndarray:
        """All traits as float32 (TRAITS,), roughly unit scale; discrete ones one-hot."""
        return np.concatenate([_encode(field.name, getattr(self, field.name)) for field in fields(self)])


def _encode(name: str, value: object) -> np.ndarray:
    if name == "hair_style":
        return np.eye(len(HAIR_STYLES), dtype=np.float32)[HAIR_STYLES.index(str(value))]
    if name == "beard":
        return np.eye(len(BEARDS), dtype=np.float32)[BEARDS.index(str(value))]
    if name == "glasses":
        return np.eye(len(GLASSES), dtype=np.float32)[GLASSES.index(str(value))]
    if isinstance(value, tuple):
        return (np.asarray(value, dtype=np.float32) - 0.5) * 3
    return np.asarray([float(value)], dtype=np.float32)  # type: ignore[arg-type]


def person_from_seed(seed: int) -> Person:
    """Draw a person at random; the same seed is the same person for ever."""
    rng = np.random.default_rng([0xFACE, seed])
    woman = bool(rng.random() < 0.5)
    odds = np.array([_HAIR_ODDS[style][0 if woman else 1] for style in HAIR_STYLES])
    skin_place = rng.uniform(0, len(_SKINS) - 1)
    skin = _mix(_SKINS, skin_place) + rng.normal(0, 0.012, 3)
    hair_odds = np.array([2, 2, 2, 1.5, 1, 1, 1.2, 1, 0.6]) * (
        1 if skin_place < 2.5 else np.array([6, 3, 1] + [0.25] * 6)
    )
    hair = _HAIR_COLORS[rng.choice(len(_HAIR_COLORS), p=hair_odds / hair_odds.sum())] * rng.uniform(0.85, 1.15)
    beard = "none" if woman or rng.random() < 0.5 else str(rng.choice(BEARDS[1:]))
    glasses = "none" if rng.random() < 0.68 else str(rng.choice(GLASSES[1:]))

    def shape() -> float:
        return float(np.clip(rng.normal(0, 0.55), -1, 1))

    return Person(
        woman=woman,
        hair_style=str(rng.choice(HAIR_STYLES, p=odds / odds.sum())),
        beard=beard,
        glasses=glasses,
        skin=_color(skin),
        hair=_color(hair + rng.normal(0, 0.02, 3)),
        eyes=_color(_EYES[rng.integers(len(_EYES))] + rng.normal(0, 0.03, 3)),
        frame=_color(
            np.array([(0.1, 0.1, 0.12), (0.45, 0.2, 0.1), (0.65, 0.12, 0.15), (0.1, 0.3, 0.5)])[rng.integers(4)]
        ),
        head_width=shape() - (0.15 if woman else -0.15),
        head_height=shape(),
        jaw=shape() + (-0.35 if woman else 0.35),
        eye_size=shape() + (0.25 if woman else -0.15),
        eye_spacing=shape(),
        eye_tilt=shape(),
        brow_thickness=shape() + (-0.35 if woman else 0.35),
        brow_tilt=shape(),
        brow_height=shape(),
        nose_length=shape(),
        nose_width=shape() + 0.3 * (skin_place - 2) / 2,
        mouth_width=shape(),
        lip_fullness=shape() + (0.35 if woman else -0.2),
        lip_redness=shape() + (0.5 if woman else -0.5),
        ear_size=shape(),
        freckles=float(rng.uniform(0.5, 1)) if rng.random() < (0.22 if skin_place < 2.2 else 0.03) else 0.0,
        blush=float(rng.uniform(0, 1)),
        mole=1.0 if rng.random() < 0.15 else 0.0,
        mole_place=float(rng.uniform(-1, 1)),
        earrings=1.0 if woman and rng.random() < 0.4 else 0.0,
    )


def _mix(stops: np.ndarray, place: float) -> np.ndarray:
    low = min(int(place), len(stops) - 2)
    weight = place - low
    return stops[low] * (1 - weight) + stops[low + 1] * weight


def _color(rgb: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(channel) for channel in np.clip(rgb, 0.02, 0.99))
    return red, green, blue


TRAITS = int(person_from_seed(0).vector().shape[0])
