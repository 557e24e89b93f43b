"""Which of the paper's findings hold here, from the records of the ablations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import bootstrap_interval

LEAST_PEOPLE = 5
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One variant is better than another by a score.

    Attributes:
        text: What the paper found.
        better: Name of the variant that should have more of it.
        worse: Name of the other.
        score: Of which.
        group: Prompts it is about; all of them if empty.
    """

    text: str
    better: str
    worse: str
    score: str = "identity_of_prompt"
    group: str = ""


FINDINGS = (
    Finding("with a small lambda the photo is reproduced: more ID", "lambda: 0.003", "lambda: 0.3", "identity"),
    Finding("with a large lambda the prompt is obeyed more", "lambda: 0.3", "lambda: 0.003", "prompt"),
    Finding("the attention loss keeps the person's word on the face", "lambda: 0.003", "lambda: 0", "attention_inside"),
    Finding("a middle lambda gives more ID(P) than none", "lambda: 0.003", "lambda: 0"),
    Finding("a middle lambda gives more ID(P) than a large one", "lambda: 0.003", "lambda: 3"),
    Finding("five stages give more ID(P) than one", "stages: 5", "stages: 1"),
    Finding("five stages give more ID(P) than ten", "stages: 5", "stages: 10"),
    Finding("keys and values together beat keys alone", "side: both", "side: keys"),
    Finding("keys and values together beat values alone", "side: both", "side: values"),
    Finding("keys and values apart beat one feature for both", "side: both", "side: not split"),
    Finding("the same for changes of the face", "side: both", "side: not split", group="face change"),
    Finding("the self-attention module helps", "self-attention: with", "self-attention: without"),
)


def findings(records: Sequence[Record]) -> list[str]:
    """A line a finding: holds, does not hold, undecided, or not measured.

    Compared is the same person's score under both variants; the interval is a 95 % bootstrap over people.
    """
    return [_line(finding, records) for finding in FINDINGS]


def _line(finding: Finding, records: Sequence[Record]) -> str:
    better, worse = (_by_person(records, name, finding) for name in (finding.better, finding.worse))
    people = sorted(set(better) & set(worse))
    if len(people) < LEAST_PEOPLE:
        return f"- not measured on {LEAST_PEOPLE} people: {finding.text}"
    found = bootstrap_interval([[better[person] - worse[person]] for person in people])
    verdict = "holds" if found.low > 0 else "does not hold" if found.high < 0 else "undecided"
    return (
        f"- {verdict}: {finding.text} ({finding.better} against {finding.worse}: {found.mean:+.3f} "
        f"[{found.low:+.3f}, {found.high:+.3f}], {len(people)} people)"
    )


def _by_person(records: Sequence[Record], variant: str, finding: Finding) -> dict[int, float]:
    found = {}
    for record in records:
        if record["key"]["variant"] != variant:
            continue
        value = record["groups"].get(finding.group) if finding.group else record["scores"].get(finding.score)
        if value is not None:
            found[record["key"]["person"]] = float(value)
    return found
