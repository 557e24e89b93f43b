"""What the start of a command does without: files that nothing here uses, and needless garbage collection."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from importlib.metadata import version

import pytest
import torch

from faceid_cli.backbone.stand_ins import LateClass
from faceid_cli.backbone.undrawn import Undrawn
from faceid_cli.kept.collector import collect_as_usual, collect_rarely

_NOT_NEEDED = (
    "diffusers.models.transformers.transformer_flux",
    "diffusers.models.transformers.transformer_wan",
    "diffusers.models.autoencoders.autoencoder_kl_wan",
    "scipy.stats._stats_py",
    "scipy.optimize._optimize",
    "scipy.integrate._quadrature",
    "torch._dynamo.eval_frame",
    "torch._inductor",
    "torchvision.models.detection",
    "torchvision.ops.roi_align",
    "peft.peft_model",
    "facexlib",
    "matplotlib",
    "open_clip",
    "dynamicprompts",
    "c2pa",
    "tensorflow",
)
_NOT_OF_OURS = ("torch.distributed.tensor", "torch.distributed.fsdp", "sympy")

_RENDERED = """
import json, sys
from faceid_cli.backbone import load_base_model
from faceid_cli.orders import RenderConfig
from faceid_cli.rendering.generate import render
from faceid_cli.tokens import class_embedding
from faceid_cli.types import IdentityTokens
base = load_base_model({folder!r}, "cpu")
feature = class_embedding(base, "person").expand(5, 1, -1)
people = {{"al": IdentityTokens({{"text_encoder": feature}}, {{"text_encoder": feature}})}}
render(base, "<al>, a castle", people, [1], RenderConfig(steps=1, width=64, height=64))
print(json.dumps([name for name in {names!r} if name in sys.modules]))
"""

_LEARNED = """
import torch
weight = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.AdamW([weight])
torch.sin(weight).sum().backward()
optimizer.step()
assert not torch.equal(weight, torch.ones(2))
"""

_LEARNED_LEAN = """
from faceid_cli.backbone.lean import lean_backward
with lean_backward(base.unet):
    text = torch.ones(1, 77, base.unet.config.cross_attention_dim, requires_grad=True)
    latents = torch.ones(1, base.unet.config.in_channels, 8, 8)
    base.unet(latents, torch.tensor([5]), text).sample.sum().backward()
assert text.grad.abs().sum() > 0
"""


def python(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(version("transformers").startswith("5.0."), reason="this one runs its own file, and brings all in")
def test_loading_rendering_and_learning_bring_in_nothing_needless(tiny_model_dir) -> None:
    code = _RENDERED.format(folder=str(tiny_model_dir), names=_NOT_NEEDED)
    code = f"from faceid_cli.kept.own_process import claim_process; claim_process()\n{code}"
    code += _LEARNED + _LEARNED_LEAN
    code += f"print(json.dumps([name for name in {(*_NOT_OF_OURS, *_NOT_NEEDED)!r} if name in sys.modules]))\n"
    code += "import transformers\nprint(json.dumps([type(transformers).__name__, transformers.__dict__['has_run']]))"
    assert [json.loads(line) for line in python(code)] == [[], [], ["LazyPackage", False]]


def test_what_is_left_out_is_there_all_the_same(tiny_model_dir) -> None:
    code = _RENDERED.format(folder=str(tiny_model_dir), names=_NOT_NEEDED) + (
        """
from diffusers.models.autoencoders import AutoencoderKL, AutoencoderKLWan
from diffusers.models.transformers import FluxTransformer2DModel
from diffusers import StableDiffusion3Pipeline
import diffusers.models.transformers
import scipy.stats, scipy.optimize, scipy.integrate
assert 0.4 < scipy.stats.beta.ppf(0.5, 2, 2) < 0.6
assert scipy.optimize.linear_sum_assignment([[1, 0], [0, 1]])[1].tolist() == [1, 0]
assert abs(scipy.optimize.brentq(lambda x: x - 1, 0, 3) - 1) < 1e-6
assert abs(scipy.integrate.quad(lambda x: x, 0, 2)[0] - 2) < 1e-9
assert type(base.pipeline.vae) is AutoencoderKL
assert not hasattr(diffusers.models.transformers, "nobody")

import transformers
from transformers import AutoImageProcessor, AutoModel, CLIPTextModel
assert type(base.pipeline.text_encoder) is CLIPTextModel is transformers.CLIPTextModel
assert transformers.models.clip.CLIPTextModel is CLIPTextModel
assert not hasattr(transformers, "ModelMixin") and not hasattr(transformers, "nobody")
from torchvision.ops import nms, roi_align
assert callable(nms) and callable(roi_align)
import torch.distributed.tensor
is_available = getattr(transformers.utils, "is_torch_distributed_available", torch.distributed.is_available)
assert is_available() == torch.distributed.is_available()
import importlib.metadata
assert "torch" in importlib.metadata.packages_distributions()
"""
    )
    assert [json.loads(line) for line in python(code)] == [[]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["import torch._dynamo.eval_frame", "import torch._dynamo.config", "torch.compiler.reset()"]
)
def test_the_compiler_comes_when_it_is_asked_for_and_knows_what_was_marked_before(way) -> None:
    code = f"""
import sys, torch
import faceid_cli.backbone
from diffusers.models.attention import BasicTransformerBlock
from diffusers.utils.torch_utils import is_compiled_module, maybe_allow_in_graph
assert not is_compiled_module(torch.nn.Linear(1, 1))
before = torch.compiler.disable(lambda x: x + 1)
assert before(1) == 2 and "torch._dynamo.eval_frame" not in sys.modules
{way}
from torch._dynamo.eval_frame import OptimizedModule
import torch._dynamo
assert torch._dynamo is sys.modules["torch._dynamo"] and torch._dynamo.eval_frame.OptimizedModule is OptimizedModule
allowed = torch._dynamo.trace_rules._allowed_callable_ids
assert id(BasicTransformerBlock) in allowed and before(1) == 2
assert id(maybe_allow_in_graph(type("Later", (), {{}}))) is not None
assert is_compiled_module(torch.compile(torch.nn.Linear(1, 1)))
compiled = torch.compile(lambda x: torch.sin(x) + before(x), backend="eager")
assert torch.equal(compiled(torch.ones(2)), torch.sin(torch.ones(2)) + 2)
"""
    assert python(code) == []


@pytest.mark.slow
def test_versions_that_cannot_be_imported_so_are_imported_as_ever(tiny_model_dir) -> None:
    code = """
import sys
class Once:
    come = False
    def find_spec(self, name, path, target=None):
        if name == "diffusers.models.attention_dispatch" and not self.come:
            self.come = True
            raise AttributeError("this version asks for something else")
sys.meta_path.insert(0, Once())
"""
    code += _RENDERED.format(folder=str(tiny_model_dir), names=("faceid_cli",))
    code += "import transformers; print(json.dumps(type(transformers).__name__ != 'LazyPackage'))"
    assert [json.loads(line) for line in python(code)] == [["faceid_cli"], True]


def test_peft_comes_when_it_is_asked_for() -> None:
    pytest.importorskip("peft")
    code = """
import sys, torch
import faceid_cli.backbone
from diffusers.loaders import lora_base
assert not isinstance(torch.nn.Linear(1, 1), lora_base.BaseTunerLayer) and "peft.config" not in sys.modules
from peft.tuners.lora import Linear
from peft.tuners.tuners_utils import BaseTunerLayer
import peft
assert issubclass(Linear, BaseTunerLayer) and issubclass(Linear, lora_base.BaseTunerLayer)
assert sys.modules["peft"] is peft and isinstance(peft.PeftModel, type) and peft.__version__
"""
    assert python(code) == []


def test_a_late_class_is_the_other_one_for_whoever_uses_it() -> None:
    asked = []

    class Real:
        made = 0

    def real() -> type[Real]:
        asked.append(True)
        return Real

    late = LateClass.of("Real", __name__, real)
    assert not isinstance(1, late)
    assert asked == []
    assert isinstance(Real(), late)
    assert type(late()) is Real
    assert late.made == 0
    assert type("Derived", (late,), {}).__mro__[1] is Real


def test_empty_tensors_are_of_the_same_shape_and_are_filled_with_nothing() -> None:
    with Undrawn(), torch.device("meta"):
        layer = torch.nn.Embedding(3, 4)
        counted = torch.arange(7), torch.arange(1, 9, 3), torch.arange(3, dtype=torch.float32)
    assert layer.weight.shape == (3, 4)
    assert [tuple(each.shape) for each in counted] == [(7,), (3,), (3,)]
    assert [each.dtype for each in counted] == [torch.int64, torch.int64, torch.float32]
    with Undrawn():
        here = torch.empty_like(counted[0], device="cpu")
        assert (here.device.type, here.shape, here.dtype) == ("cpu", (7,), torch.int64)
        torch.manual_seed(3)
        drawn = torch.nn.init.normal_(torch.empty(5))
        assert torch.arange(3).tolist() == [0, 1, 2]
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.nn.init.normal_(torch.empty(5)))


def test_the_collector_is_as_before_once_the_base_model_is_there() -> None:
    before = gc.get_threshold()
    collect_rarely()
    collect_rarely()
    assert gc.get_threshold()[0] > before[0]
    collect_as_usual()
    assert gc.get_threshold() == before
    collect_as_usual()
    assert gc.get_threshold() == before
    gc.unfreeze()
