"""End the guidance before the last step: late steps settle details, which the prompt has little say in.

Guidance renders each step twice, with the prompt and without, so the steps without it take half of the time. Rows of
the negative prompt come first in all that a pipeline holds of its texts, and are left out from then on.
"""

from __future__ import annotations

import math
from typing import Any

_DOUBLED = ("prompt_embeds", "add_text_embeds", "add_time_ids", "image", "control_image")
"""What pipelines hold twice while they guide, by their names for it."""


class GuidanceEnd:
    """Lets a pipeline guide a share of its steps.

    Args:
        pipeline: Of diffusers.
        share: Of the steps that the pass takes, from the first on; above 0.
    """

    def __init__(self, pipeline: Any, share: float) -> None:
        self._share = share
        self.names = [name for name in _DOUBLED if name in pipeline._callback_tensor_inputs]

    def changes(self, pipeline: Any, step: int, tensors: dict[str, Any]) -> dict[str, Any]:
        """What a pipeline goes on with after a step; nothing while it is guided, or where it was not at all.

        Args:
            pipeline: After the step.
            step: Counted from 0.
            tensors: What it holds, by `names`.
        """
        if step + 1 < math.ceil(self._share * pipeline.num_timesteps) or not pipeline.do_classifier_free_guidance:
            return {}
        pipeline._guidance_scale = 1.0
        return {name: tensors[name].chunk(2)[1] for name in self.names if tensors.get(name) is not None}
