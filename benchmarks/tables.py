"""Tables with confidence intervals, the figure of likeness against obedience, and the goals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.intervals import Interval, bootstrap_interval

SCORES = (
    ("identity", "ID"),
    ("prompt", "Prompt"),
    ("identity_of_prompt", "ID(P)"),
    ("likeness_percent", "likeness, %"),
    ("one_face", "one face"),
    ("face_place_spread", "face moves"),
    ("background_spread", "background"),
    ("attention_inside", "in face"),
    ("sharpness", "sharp"),
    ("face_spread", "faces differ"),
)
TOKEN_ONLY = ("textual-inversion", "prospect", "per-layer", "masked-loss", "masked-attention")
OWN_VARIANTS = ("sefi-paper", "regression-alone")
"""This method otherwise: no rivals of it."""
LEAST_PEOPLE = 30
Records = Sequence[Mapping[str, Any]]


def counted(photos: int) -> str:
    """A number of photos in words."""
    return "1 photo" if photos == 1 else f"{photos} photos"


def interval_of(records: Records, score: str) -> Interval | None:
    """Mean over people with its 95 % bootstrap interval; None where nobody has that score."""
    values = [record["scores"].get(score) for record in records]
    found = [[value] for value in values if value is not None]
    return bootstrap_interval(found) if found else None


def table(rows: Mapping[str, Records]) -> str:
    """A Markdown table: a line a method, 95 % intervals over people, seconds of learning and numbers kept."""
    head = ["method", "people", *(label for _, label in SCORES), "seconds", "numbers kept"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, records in rows.items():
        cells = [name, str(len(records))]
        for score, _ in SCORES:
            found = interval_of(records, score)
            digits = 0 if score == "likeness_percent" else 3
            cells.append(
                "-" if found is None else f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"
            )
        cells.append(f"{mean(record['seconds'] for record in records):.0f}")
        cells.append(f"{mean(record['parameters'] for record in records):,.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean(values: Any) -> float:
    """Of at least one number."""
    found = list(values)
    return float(sum(found) / len(found))


def goals(by_method: Mapping[str, Records], pace: str | None = None) -> list[str]:
    """Whether the project's goals are met, a line each, for those whose methods were all measured.

    Compared are people whom all methods were measured on, but for methods that were not measured on enough people: they
    are named and left out, and what they could still change is undecided.

    Args:
        by_method: Records of each method.
        pace: The line about the time to each method's own best, where `benchmarks.pace` measured it; without it the
            seconds of learning with the tuned steps are compared.
    """
    lines: list[str] = []
    if "sefi" not in by_method:
        return lines
    few = {
        name: len(pair["sefi"])
        for name, records in by_method.items()
        if len((pair := on_the_same_people({"sefi": by_method["sefi"], name: records}))["sefi"]) < LEAST_PEOPLE
    }
    if few:
        told = ", ".join(f"{name} {count}" for name, count in few.items())
        lines.append(f"{LEAST_PEOPLE} people are needed to say whether a goal is met, and these have fewer: {told}")
    everybody = by_method
    by_method = on_the_same_people({name: records for name, records in by_method.items() if name not in few})
    if len(by_method) < 2 or "sefi" not in by_method:
        return lines
    ours = by_method["sefi"]
    lines += _highest(by_method, few, everybody)
    if "dreambooth-lora" in by_method:
        own_id, other = _means(by_method, "identity", "sefi", "dreambooth-lora")
        lines.append(_line(own_id >= other, f"ID {own_id:.3f}, DreamBooth LoRA {other:.3f}"))
    if "base" in by_method:
        own_prompt, base = _means(by_method, "prompt", "sefi", "base")
        lines.append(_line(own_prompt >= 0.95 * base, f"Prompt {own_prompt:.3f}, base model {base:.3f}: at least 95 %"))
    if "textual-inversion" in by_method:
        inversion = by_method["textual-inversion"]
        seconds, others = (mean(record["seconds"] for record in records) for records in (ours, inversion))
        learned = (
            f"{seconds:.0f} s of learning, Textual Inversion {others:.0f} s: up to a fifth (all steps; the time to"
        )
        lines.append(pace or _line(seconds <= others / 5, f"{learned} each one's best is not measured)"))
        inside, other = _means(by_method, "attention_inside", "sefi", "textual-inversion")
        lines.append(_line(inside >= 2 * other, f"in face {inside:.3f}, Textual Inversion {other:.3f}: at least twice"))
    return lines


def on_the_same_people(by_method: Mapping[str, Records]) -> dict[str, list[Mapping[str, Any]]]:
    """The records of people whom every method has: a run that was stopped has more of some than of others."""
    people = [{record["key"]["person"] for record in records} for records in by_method.values()]
    common = set.intersection(*people) if people else set()
    return {
        name: [record for record in records if record["key"]["person"] in common] for name, records in by_method.items()
    }


def differences(by_method: Mapping[str, Records], names: Mapping[str, str]) -> str:
    """A Markdown table: how much more this method has than each other one, person by person; empty without others.

    People differ more than methods do, so this is clearer than two intervals side by side.

    Args:
        by_method: Records of each method.
        names: Of the methods, in tables.
    """
    lines = ["| faceid (sefi) over | people | ID | Prompt | ID(P) |", "|---|---|---|---|---|"]
    for name, records in by_method.items():
        pair = on_the_same_people({"sefi": by_method.get("sefi", []), name: records})
        if name == "sefi" or not pair["sefi"]:
            continue
        lines.append(_difference_line(names[name], pair["sefi"], pair[name]))
    return "\n".join(lines) if len(lines) > 2 else ""


def beside_the_centre(rows: Mapping[str, Records], centre: str) -> str:
    """A Markdown table: how much more each variant has than the one in the centre, person by person.

    Args:
        rows: Records of each variant.
        centre: Which of them is in the centre; without it the table is empty.
    """
    lines = [f"| more than {centre} | people | ID | Prompt | ID(P) |", "|---|---|---|---|---|"]
    for name, records in rows.items():
        pair = on_the_same_people({"variant": records, "centre": rows.get(centre, [])})
        if name != centre and pair["centre"]:
            lines.append(_difference_line(name, pair["variant"], pair["centre"]))
    return "\n".join(lines) if len(lines) > 2 else ""


def _difference_line(name: str, ours: Records, theirs: Records) -> str:
    found = (more_than(ours, theirs, score) for score in ("identity", "prompt", "identity_of_prompt"))
    return f"| {' | '.join([name, str(len(ours)), *map(shown, found)])} |"


def _highest(by_method: Mapping[str, Records], few: Iterable[str], everybody: Mapping[str, Records]) -> list[str]:
    """Whether the method has the highest ID(P) of all, and is clear of the best that learns tokens alone.

    Rivals that were measured on too `few` people may still be higher: until then it is undecided. Person by person the
    two are compared on `everybody` whom both were measured on.
    """
    rivals = set(few) - {"base", *OWN_VARIANTS}
    found = {name: interval_of(records, "identity_of_prompt") for name, records in by_method.items()}
    known = {name: each for name, each in found.items() if each is not None and name not in ("base", *OWN_VARIANTS)}
    own = known.pop("sefi", None)
    if own is None or not known:
        return []
    best = max(known, key=lambda name: known[name].mean)
    lines = [
        _line(
            own.mean > known[best].mean,
            f"ID(P) {own.mean:.3f} on average, {best} {known[best].mean:.3f}: highest",
            bool(rivals),
        )
    ]
    tokens = {name: each for name, each in known.items() if name in TOKEN_ONLY}
    if tokens:
        best = max(tokens, key=lambda name: tokens[name].mean)
        clear = f"ID(P) {own.low:.3f} and up, {best} up to {tokens[best].high:.3f}: intervals apart"
        open_yet = bool(rivals & set(TOKEN_ONLY))
        lines.append(_line(own.low > tokens[best].high, clear, open_yet))
        pair = on_the_same_people({name: everybody[name] for name in ("sefi", best)})
        more = more_than(pair["sefi"], pair[best], "identity_of_prompt")
        over = f"person by person ({len(pair['sefi'])} people)"
        text = f"ID(P) higher than {best}'s by {shown(more)}, {over}: clear of 0"
        lines.append(_line(more.low > 0, text, open_yet))
    return lines


def more_than(ours: Records, theirs: Records, score: str) -> Interval:
    """How much more of a score one method has than another, with its 95 % interval, over the people of both."""
    first, second = ({record["key"]["person"]: record["scores"] for record in found} for found in (ours, theirs))
    return bootstrap_interval(
        [[(first[person][score] or 0.0) - (second[person][score] or 0.0)] for person in first if person in second]
    )


def shown(found: Interval) -> str:
    """A difference with its interval."""
    return f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _means(by_method: Mapping[str, Records], score: str, *names: str) -> list[float]:
    found = (interval_of(by_method[name], score) for name in names)
    return [float("nan") if each is None else each.mean for each in found]


def _line(met: bool, text: str, open_yet: bool = False) -> str:
    """A goal; one that is met is undecided where others may still change that."""
    return f"- {('undecided' if open_yet else 'met') if met else 'not met'}: {text}"


def draw_figure(rows: Mapping[str, Records], path: Path, title: str, base: str = "base model") -> None:
    """Likeness against obedience, a point a method, with the intervals as crosses; what the base obeys is a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5))
    markers = iter("osD^v<>PX*hp")
    for name, records in rows.items():
        identity, prompt = interval_of(records, "identity"), interval_of(records, "prompt")
        if identity is None or prompt is None:
            continue
        if name == base:  # nobody in particular: a level to compare obedience with
            axes.axvline(prompt.mean, color="grey", linestyle="--", label=f"{name} (ID {identity.mean:.2f})")
            continue
        axes.errorbar(
            prompt.mean,
            identity.mean,
            xerr=[[prompt.mean - prompt.low], [prompt.high - prompt.mean]],
            yerr=[[identity.mean - identity.low], [identity.high - identity.mean]],
            fmt=next(markers),
            elinewidth=0.7,
            label=name,
        )
    axes.set_xlabel("Prompt: share of what is asked for that is there")
    axes.set_ylabel("ID: cosine similarity to the person")
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
