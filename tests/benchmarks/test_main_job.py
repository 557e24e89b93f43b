"""benchmarks/main_job.py: what its table says of the trials."""

from __future__ import annotations

import pytest

from benchmarks.main_job import differences, print_table, summary
from benchmarks.trial import Trial
from faceid_cli.evaluation.scores import PictureScore
from faceid_cli.orders import TrainConfig


def trial(similarity: float, obeyed: int) -> Trial:
    """Ten pictures of a person, of which so many are as they were asked for; two true drawings are 0.8 alike."""
    scores = tuple(PictureScore(similarity, {"beach": place < obeyed}, 0.3) for place in range(10))
    return Trial(TrainConfig(), scores, upper_bound=0.8, enrol_seconds=10, image_seconds=1)


def test_differences_are_taken_person_by_person(capsys: pytest.CaptureFixture[str]) -> None:
    """People differ much more than methods do: side by side the intervals overlap, the difference is clear."""
    people = [0.1, 0.3, 0.5, 0.7]
    trials = {
        "sefi": [trial(each + 0.04, 10) for each in people],
        "textual-inversion": [trial(each, 5) for each in people],
    }
    ours, theirs = (summary(found)["ID, share of the upper bound"] for found in trials.values())
    assert ours[1] < theirs[0] < ours[0] < theirs[2]
    found = differences(trials)["sefi over textual-inversion"]
    assert found["ID"] == pytest.approx([0.05, 0.05, 0.05], abs=1e-3)
    assert found["ID(P)"][0] == pytest.approx(0.05 + 0.4 / 0.8 / 2, abs=1e-3)
    assert differences({"sefi": trials["sefi"]}) == {}
    print_table({method: summary(each) for method, each in trials.items()})
    assert "0.550 [" in capsys.readouterr().out
