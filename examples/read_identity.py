"""Render a person from an identity file with plain diffusers, without faceid: Stable Diffusion 1.x and 2.x.

    python examples/read_identity.py alice.safetensors MODEL_FOLDER "a photo of <alice> in Paris" 7 alice.png

docs/format.md says what is in the file. A test compares the pictures with those of `faceid generate`.
"""

import json
import sys

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors import safe_open

path, model, prompt, seed, target = sys.argv[1:]
with safe_open(path, "pt") as file:
    header = json.loads(file.metadata()["faceid"])
    keys, values = file.get_tensor("text_encoder.keys"), file.get_tensor("text_encoder.values")
stages, vectors, _ = keys.shape  # stage 0 is the noisiest
timesteps, name = header["num_train_timesteps"], header["identity"]["name"]
pipe = StableDiffusionPipeline.from_pretrained(model, safety_checker=None).to(torch.float32)
pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
tokenizer, encoder, window = pipe.tokenizer, pipe.text_encoder, pipe.tokenizer.model_max_length

# The prompt once for each stage and side: at the mark, input embeddings give way to the person's vectors.
before, after = (tokenizer(part, add_special_tokens=False).input_ids for part in prompt.split(f"<{name}>"))
ids = [tokenizer.bos_token_id, *before, *[0] * vectors, *after, tokenizer.eos_token_id]
ids += [tokenizer.pad_token_id] * (window - len(ids))
at, features = slice(1 + len(before), 1 + len(before) + vectors), torch.cat([keys, values])


def replace(module, arguments, output):
    output[:, at] = features.to(output)
    return output


handle = encoder.get_input_embeddings().register_forward_hook(replace)
with torch.no_grad():
    context = encoder(torch.tensor([ids] * 2 * stages))[0].flatten(0, 1)[None]  # K of all stages, then V of all
handle.remove()
negative = pipe.encode_prompt("", "cpu", 1, False)[0].repeat(1, 2 * stages, 1)


def cut(module, arguments, named):
    """Before the UNet: of all stages, keep the one that the timestep falls into, [K | V]."""
    stage = min(max(stages - 1 - int(arguments[1]) * stages // timesteps, 0), stages - 1)
    rows = named["encoder_hidden_states"].unflatten(1, (2, stages, window))
    return arguments, {**named, "encoder_hidden_states": rows[:, :, stage].flatten(1, 2)}


pipe.unet.register_forward_pre_hook(cut, with_kwargs=True)
for layer, module in pipe.unet.named_modules():  # to_k reads the first half of the text, to_v the second
    if layer.endswith("attn2"):
        module.to_k.register_forward_pre_hook(lambda module, text: text[0][:, :window].contiguous())
        module.to_v.register_forward_pre_hook(lambda module, text: text[0][:, window:].contiguous())
picture = pipe(  # as `faceid generate` does with Stable Diffusion: 20 steps of DDIM, guidance 5
    prompt_embeds=context,
    negative_prompt_embeds=negative,
    num_inference_steps=20,
    guidance_scale=5.0,
    generator=torch.Generator("cpu").manual_seed(int(seed)),
).images[0]
picture.save(target)
