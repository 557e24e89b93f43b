"""Previews: pictures between training steps, which must not change what is learned."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from faceid_cli.errors import InterruptedRunError
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.training import train_identity


def pixels_of(base, seen):
    """Make a callback that renders, and notes the step and what was rendered."""

    def preview(step, tokens) -> None:
        picture = render(base, "a photo of <x>", {"x": tokens}, [1], RenderConfig(steps=2))[0]
        seen[step] = picture.image.tobytes()

    return preview


@pytest.mark.parametrize("average_last", [0, 2])
def test_previews_do_not_change_what_is_learned(
    tiny_base, quick, make_crops, identity_bytes, tmp_path, average_last
) -> None:
    config = dataclasses.replace(quick, average_last=average_last)
    plain, report = train_identity(tiny_base, make_crops(), config)
    seen: dict[int, bytes] = {}
    shown, again = train_identity(
        tiny_base, make_crops(), config, preview_every=3, on_preview=pixels_of(tiny_base, seen)
    )
    assert identity_bytes(shown, tmp_path / "shown") == identity_bytes(plain, tmp_path / "plain")
    assert again.losses == report.losses
    assert list(seen) == [0, 3, 4]
    assert len(set(seen.values())) == 3


def test_the_last_preview_shows_what_the_run_ends_with(tiny_base, quick, make_crops) -> None:
    config = dataclasses.replace(quick, average_last=3)
    got = {}
    tokens, _ = train_identity(
        tiny_base, make_crops(), config, preview_every=4, on_preview=lambda step, tokens: got.update({step: tokens})
    )
    assert torch.equal(got[4].keys["text_encoder"], tokens.keys["text_encoder"])
    assert not torch.equal(got[0].keys["text_encoder"], tokens.keys["text_encoder"])


def test_a_preview_shows_the_average_so_far(tiny_base, quick, make_crops) -> None:
    def features(average_last: int) -> dict[int, torch.Tensor]:
        config, got = dataclasses.replace(quick, average_last=average_last), {}
        train_identity(
            tiny_base,
            make_crops(),
            config,
            preview_every=1,
            on_preview=lambda step, tokens: got.update({step: tokens.values["text_encoder"]}),
        )
        return got

    each, over_all, over_three = features(0), features(4), features(3)
    for step in (1, 2, 3, 4):
        mean = torch.stack([each[before] for before in range(1, step + 1)]).mean(dim=0)
        torch.testing.assert_close(over_all[step], mean)
    assert torch.equal(over_three[1], each[1]), "those three begin with the second step"
    torch.testing.assert_close(over_three[3], (each[2] + each[3]) / 2)


def test_ctrl_c_in_a_preview_leaves_a_checkpoint_to_go_on_from(
    tiny_base, quick, make_crops, identity_bytes, tmp_path
) -> None:
    plain, _ = train_identity(tiny_base, make_crops(), quick)

    def press(step, tokens) -> None:
        if step == 3:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(InterruptedRunError, match="interrupted after step 3 of 4; checkpoint saved"):
        train_identity(tiny_base, make_crops(), quick, folder, preview_every=3, on_preview=press)
    steps = []
    tokens, report = train_identity(
        tiny_base, make_crops(), quick, folder, True, None, 3, lambda step, tokens: steps.append(step)
    )
    assert (steps, report.resumed_from) == ([3, 4], 3)
    assert identity_bytes(tokens, tmp_path / "resumed") == identity_bytes(plain, tmp_path / "plain")
