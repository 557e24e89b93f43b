"""Can the judge be fooled? True drawings of people, spoilt and faked in many ways, and what each scores.

    python -m benchmarks.judge_attacks                # 12 people, some minutes; writes results/judge_attacks.*
    python -m benchmarks.judge_attacks --people 2

Needs no diffusion model: "honest" are drawings of the person that show what the prompts ask for, as a perfect method
would render them, and each attack is what a method might do instead, or what happens to a picture. Scores are those of
`faceid evaluate`: the mean over people of each person's mean over the prompts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.attacks import ATTACKS, FIRST_PERSON, Attack, Target, target_of
from benchmarks.trial import reference_likeness
from faceid_cli.builtin.judge import Judge
from faceid_cli.evaluation.judges import DrawnJudge
from faceid_cli.evaluation.likeness import Likeness
from faceid_cli.evaluation.overlooked import LEAST_FACE_SPREAD, LEAST_SHARPNESS
from faceid_cli.evaluation.prompts import PROMPT_SET
from faceid_cli.evaluation.run import score_picture
from faceid_cli.evaluation.summary import summarise

RESULTS = Path(__file__).parent / "results" / "judge_attacks.json"
PROMPTS = tuple(PROMPT_SET[place] for place in (0, 3, 8, 13, 16, 18, 21, 27, 31, 34, 37, 41))
SCORES = (
    ("identity", "ID"),
    ("likeness_percent", "likeness, %"),
    ("prompt", "Prompt"),
    ("identity_of_prompt", "ID(P)"),
    ("one_face", "one face"),
    ("face_place_spread", "face moves"),
    ("background_spread", "background"),
    ("face_spread", "faces differ"),
    ("sharpness", "sharp"),
)
Scores = Mapping[str, float | None]


def attack_scores(judge: DrawnJudge, likeness: Likeness, target: Target, attack: Attack) -> dict[str, float | None]:
    """What one person's pictures score under an attack."""
    pictures = [
        score_picture(judge, likeness, prompt, 0, attack(target, prompt, place)) for place, prompt in enumerate(PROMPTS)
    ]
    found = asdict(summarise(pictures, True))
    return {name: found[name] for name, _ in SCORES}


def mean_scores(rows: Sequence[Scores]) -> dict[str, float | None]:
    """Mean over people; None where nobody has a score."""
    means: dict[str, float | None] = {}
    for name, _ in SCORES:
        known = [value for row in rows if (value := row[name]) is not None]
        means[name] = float(np.mean(known)) if known else None
    return means


def claims(found: Mapping[str, Scores]) -> list[tuple[bool, str]]:
    """What has to hold for the judge to be trusted: whether it does, and in words."""

    def of(attack: str, score: str) -> float:
        value = found[attack][score]
        return float("nan") if value is None else value

    upper = of("honest", "identity_of_prompt")
    blurs = ("blurred, 2 px", "blurred, 3 px")
    others = [name for name in found if name not in (*blurs, "photo pasted", "head pasted")]
    spoilt = ("saturated, 3 x", "grey", "contrast, 3 x", "noise, 25 %", "JPEG, quality 8", "upside down")
    sizes = ("tiny, 30 %", "huge")
    empty = ("nobody", "only noise")
    return [
        (
            of("honest", "likeness_percent") > 85 and of("honest", "prompt") > 0.95,
            "honest pictures score high: likeness above 85 %, Prompt above 0.95",
        ),
        (of("stranger", "likeness_percent") < 15, "strangers in the right scene: likeness below 15 %"),
        (
            of("same-haircut stranger", "likeness_percent") < 60,
            "strangers with the person's hair, beard, glasses and colours: likeness below 60 %",
        ),
        (of("photo pasted", "identity_of_prompt") < 0.1 * upper, "the photo pasted everywhere: ID(P) below a tenth"),
        (
            max(of("photo pasted", "face_place_spread"), of("photo pasted", "background_spread")) < 0.01,
            "the photo pasted everywhere: neither face nor background moves",
        ),
        (
            max(of("photo pasted", "face_spread"), of("head pasted", "face_spread")) < LEAST_FACE_SPREAD,
            f"a pasted head, also where everything else is right: faces differ by less than {LEAST_FACE_SPREAD}",
        ),
        (
            all(of(name, "sharpness") < LEAST_SHARPNESS for name in blurs),
            f"blur that hides the lines of a face: sharpness below {LEAST_SHARPNESS}",
        ),
        (
            of("honest", "sharpness") > 0.9 and of("honest", "face_spread") > LEAST_FACE_SPREAD,
            "honest pictures are neither called blurred nor pasted",
        ),
        (
            all(
                of(name, "face_spread") > LEAST_FACE_SPREAD for name in others if found[name]["face_spread"] is not None
            ),
            "nothing else is called pasted",
        ),
        (
            all(of(name, "identity_of_prompt") < 0.75 * upper for name in spoilt),
            "spoilt pictures (colours, contrast, much noise, JPEG of quality 8, upside down): ID(P) a quarter lower",
        ),
        (all(of(name, "identity_of_prompt") < 0.5 * upper for name in sizes), "tiny and huge faces: ID(P) below half"),
        (
            of("JPEG, quality 30", "identity_of_prompt") > 0.75 * upper
            and of("noise, 10 %", "identity_of_prompt") > 0.75 * upper,
            "harmless flaws (JPEG of quality 30, a little noise) are forgiven: ID(P) above three quarters",
        ),
        (of("twice in a picture", "one_face") < 0.05, "the person twice: not one picture counts as having one face"),
        (all(of(name, "identity") == 0 for name in empty), "no face, no likeness: ID 0"),
    ]


def table(found: Mapping[str, Scores]) -> str:
    """A Markdown table, a line an attack."""
    lines = [f"| pictures | {' | '.join(label for _, label in SCORES)} |", f"|{'---|' * (len(SCORES) + 1)}"]
    for attack, scores in found.items():
        cells = []
        for name, _ in SCORES:
            value = scores[name]
            cells.append("-" if value is None else f"{value:.0f}" if name == "likeness_percent" else f"{value:.2f}")
        lines.append(f"| {attack} | {' | '.join(cells)} |")
    return "\n".join(lines)


def run(people: int, attacks: Mapping[str, Attack] = ATTACKS) -> dict[str, dict[str, float | None]]:
    """Mean scores of every attack."""
    judge = DrawnJudge(Judge.load())
    rows: dict[str, list[Scores]] = {name: [] for name in attacks}
    for number in range(people):
        target, likeness = target_of(number), reference_likeness(judge, FIRST_PERSON + number)
        for name, attack in attacks.items():
            rows[name].append(attack_scores(judge, likeness, target, attack))
    return {name: mean_scores(found) for name, found in rows.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Attack, print the table and what holds, and write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    found = run(arguments.people)
    held = claims(found)
    lines = [f"- {'holds' if holds else 'DOES NOT HOLD'}: {claim}" for holds, claim in held]
    text = "\n".join([f"{arguments.people} people, {len(PROMPTS)} prompts each", "", table(found), "", *lines])
    print(text)
    report = {
        "people": arguments.people,
        "prompts": [prompt.text for prompt in PROMPTS],
        "scores": found,
        "claims": [{"claim": claim, "holds": holds} for holds, claim in held],
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.with_suffix(".md").write_text(f"# Attacks on the judge\n\n{text}\n", encoding="utf-8")
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
