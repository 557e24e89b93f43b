"""`--auto`: try a few levels of likeness with fixed seeds, and take the one that suits the prompt best."""

from __future__ import annotations

from faceid_cli.backbone import BaseModel
from faceid_cli.errors import UsageError
from faceid_cli.evaluation.judging import picture_judge
from faceid_cli.evaluation.prompts import EvaluationPrompt, concepts_in
from faceid_cli.evaluation.references import is_thing, likeness_of
from faceid_cli.evaluation.trade_off import SEEDS, TradeOff, best_trade_off, trade_offs
from faceid_cli.orders import RenderConfig
from faceid_cli.types import Identity, IdentityTokens, OnNote


def choose_likeness(
    base: BaseModel,
    person: Identity,
    tokens: IdentityTokens,
    prompt: str,
    config: RenderConfig,
    on_note: OnNote | None = None,
) -> tuple[RenderConfig, str]:
    """Find the likeness that suits a prompt; returns the settings with it, and how it was found, for the metadata.

    Args:
        base: The base model.
        person: The enrolled person, whose photos the faces are compared with.
        tokens: The person's tokens, as they were learned.
        prompt: Normalised, the person as `<name>`.
        config: How to render.
        on_note: Called with a line worth telling the user.

    Raises:
        UsageError: Nothing to compare faces with, or a thing that has no face.
        WeightsMissingError: The judge of photographs needs weights that are not on this machine.
    """
    if is_thing(person):
        raise UsageError(
            f"{person.name} was learned as {person.class_word}, and --auto compares faces", "choose --likeness yourself"
        )
    judge = picture_judge("auto", base.is_builtin, device=config.device)
    likeness = likeness_of(person, judge, (), True, None)
    if likeness is None:
        raise UsageError(
            f"no photos of {person.name} can be found, so --auto cannot tell who is alike",
            "put them back, or choose --likeness yourself",
        )
    asked = prompt.replace(f"<{person.name}>", "{}")
    wanted = EvaluationPrompt(asked, "your own", concepts_in(asked.replace("{}", " ")))
    if judge.is_drawn_world and not wanted.concepts and on_note:
        on_note("the judge knows nothing of what the prompt asks for, so likeness alone decides")
    found = trade_offs(base, judge, likeness, tokens, person.name, prompt, wanted, config)
    best = best_trade_off(found)
    if on_note:
        on_note(f"--auto: likeness {best.likeness:g}; {', '.join(map(_line, found))}")
    tried = ", ".join(f"{each.likeness:g}" for each in found)
    chosen = f"auto: likeness {best.likeness:g} of {tried} by ID(P) {best.identity_of_prompt:.3f}"
    chosen += "" if best.prompt is None else f", prompt {best.prompt:.3f}"
    chosen += f", {len(SEEDS)} pictures a level, judge {judge.name}"
    return config.with_likeness(best.likeness), chosen


def _line(each: TradeOff) -> str:
    prompt = "" if each.prompt is None else f" prompt {each.prompt:.2f}"
    return f"{each.likeness:g}: ID {each.identity:.2f}{prompt} ID(P) {each.identity_of_prompt:.2f}"
