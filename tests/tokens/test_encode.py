"""Prompts with people in them, on a tiny real text encoder."""

from __future__ import annotations

import pytest
import torch

from faceid_cli.errors import ModelMismatchError, PromptTooLongError, UsageError
from faceid_cli.tokens import (
    ENCODER,
    TokenModule,
    arrays_from_tokens,
    class_embedding,
    encode_prompt,
    tokenize_prompt,
    tokens_from_arrays,
)
from faceid_cli.types import IdentityTokens


def person(stages: int = 5, vectors: int = 1, width: int = 32, seed: int = 0) -> IdentityTokens:
    generator = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(stages, vectors, width, generator=generator) for _ in range(2))
    return IdentityTokens({ENCODER: keys}, {ENCODER: values})


def as_class_word(base, word: str, stages: int = 5) -> IdentityTokens:
    feature = class_embedding(base, word).expand(stages, 1, -1).clone()
    return IdentityTokens({ENCODER: feature}, {ENCODER: feature.clone()})


def stock_encoding(base, prompt: str) -> torch.Tensor:
    return base.pipeline.encode_prompt(prompt, "cpu", 1, False)[0][0]


def test_class_word_features_give_the_bits_of_the_stock_encoding(tiny_base):
    encoded = encode_prompt(tiny_base, "a photo of <al>, holding a cup", {"al": as_class_word(tiny_base, "woman")})
    expected = stock_encoding(tiny_base, "a photo of woman, holding a cup")
    for side in (encoded.keys, encoded.values):
        assert side.shape == (5, 40, 32)
        assert all(torch.equal(stage, expected) for stage in side)


def test_prompt_without_people_has_one_stage_and_can_be_repeated(tiny_base):
    encoded = encode_prompt(tiny_base, "a cup", {"al": person()})
    assert encoded.stages == 1
    assert encoded.positions == {}
    assert torch.equal(encoded.keys[0], stock_encoding(tiny_base, "a cup"))
    assert encoded.with_stages(3).context().shape == (1, 2 * 3 * 40, 32)


def test_context_holds_keys_of_all_stages_then_values(tiny_base):
    encoded = encode_prompt(tiny_base, "a photo of <al>", {"al": person()})
    parts = encoded.context()[0].view(2, 5, 40, 32)
    assert torch.equal(parts[0], encoded.keys)
    assert torch.equal(parts[1], encoded.values)


def test_only_positions_from_the_placeholder_on_depend_on_it(tiny_base):
    first, second = (encode_prompt(tiny_base, "a photo of <al> , old", {"al": person(seed=seed)}) for seed in (1, 2))
    assert first.positions == {"al": (4,)}
    assert torch.allclose(first.keys[:, :4], second.keys[:, :4], atol=1e-6)
    assert (first.keys[:, 4:] - second.keys[:, 4:]).abs().amax(dim=(1, 2)).min() > 1e-3


def test_each_stage_uses_its_own_feature(tiny_base):
    tokens = person()
    encoded = encode_prompt(tiny_base, "a photo of <al>", {"al": tokens})
    for stage in range(5):
        alone = IdentityTokens(*({ENCODER: side[ENCODER][stage][None]} for side in (tokens.keys, tokens.values)))
        single = encode_prompt(tiny_base, "a photo of <al>", {"al": alone})
        assert torch.allclose(encoded.keys[stage], single.keys[0], atol=1e-6)
        assert torch.allclose(encoded.values[stage], single.values[0], atol=1e-6)


def test_several_people_of_several_vectors(tiny_base):
    people = {"al": person(vectors=2), "bea": person(vectors=3, seed=1)}
    encoded = encode_prompt(tiny_base, "a photo of <bea> and <al>, man and <bea>", people)
    assert encoded.pieces[:15] == (
        "<|startoftext|>", "a", "photo", "of", "<bea>", "<bea>", "<bea>", "and", "<al>", "<al>", ",", "man", "and",
        "<bea>", "<bea>",
    )  # fmt: skip
    assert encoded.positions == {"bea": (4, 5, 6, 13, 14, 15), "al": (8, 9)}


def test_order_of_vectors_and_repeated_placeholder(tiny_base):
    two = as_class_word(tiny_base, "man").keys[ENCODER], as_class_word(tiny_base, "cup").keys[ENCODER]
    tokens = IdentityTokens({ENCODER: torch.cat(two, dim=1)}, {ENCODER: torch.cat(two, dim=1)})
    encoded = encode_prompt(tiny_base, "a <x> and <x>", {"x": tokens})
    assert torch.equal(encoded.keys[0], stock_encoding(tiny_base, "a man cup and man cup"))


def test_one_stage_is_combined_with_several(tiny_base):
    encoded = encode_prompt(tiny_base, "<al> and <bea>", {"al": person(5), "bea": person(1)})
    assert encoded.stages == 5
    with pytest.raises(UsageError, match="different numbers of stages: al has 5, bea has 10"):
        encode_prompt(tiny_base, "<al> and <bea>", {"al": person(5), "bea": person(10)})


def test_unknown_placeholder_and_wrong_width(tiny_base):
    with pytest.raises(UsageError, match="the prompt mentions <bob>, but no such person is given"):
        encode_prompt(tiny_base, "a photo of <bob>", {"al": person()})
    with pytest.raises(ModelMismatchError, match="token width 16, the model's is 32"):
        encode_prompt(tiny_base, "a photo of <al>", {"al": person(width=16)})


@pytest.mark.parametrize(
    ("prompt", "lost"),
    [
        ("a " * 38 + "cup", "cup"),
        ("a " * 36 + "beach , old man", "old man"),
        ("a " * 37 + "<al>", "<al>"),
        ("a " * 35 + "zebra", "zebra"),
    ],
)
def test_too_long_prompts_name_the_words_that_fall_off(tiny_base, prompt, lost):
    with pytest.raises(PromptTooLongError) as caught:
        encode_prompt(tiny_base, prompt, {"al": person(vectors=3)})
    assert caught.value.message.endswith(f"these words fall off: {lost}")
    assert caught.value.exit_code == 2


def test_of_many_words_that_fall_off_the_first_are_named(tiny_base):
    with pytest.raises(PromptTooLongError, match=r"fall off: (castle ){12}\.\.\.$"):
        encode_prompt(tiny_base, "castle " * 300, {})


def test_a_prompt_that_just_fits(tiny_base):
    assert encode_prompt(tiny_base, "a " * 35 + "<al>", {"al": person(vectors=3)}).positions == {"al": (36, 37, 38)}


def test_ids_keep_start_end_and_padding_as_the_stock_tokenizer_sets_them(tiny_base):
    ours = tokenize_prompt(tiny_base, "a photo of <al>, old", {"al": 1})
    stock = tiny_base.tokenizer("a photo of man, old", padding="max_length", max_length=40)
    differs = [index for index in range(40) if ours.ids[index] != stock.input_ids[index]]
    assert differs == [4]
    assert list(ours.mask) == stock.attention_mask


def test_text_encoder_is_left_as_found(tiny_base):
    vocabulary, table = tiny_base.tokenizer.get_vocab(), tiny_base.text_encoder.get_input_embeddings()
    before = table.weight.clone()
    encode_prompt(tiny_base, "a photo of <al>", {"al": person()})
    assert torch.equal(table.weight, before)
    assert tiny_base.tokenizer.get_vocab() == vocabulary
    assert not table._forward_hooks


def test_gradients_flow_to_the_tokens(tiny_base):
    tokens = person()
    for side in (tokens.keys, tokens.values):
        side[ENCODER].requires_grad_(True)
    encoded = encode_prompt(tiny_base, "a photo of <al>", {"al": tokens})
    encoded.keys[2].square().sum().backward()
    gradient = tokens.keys[ENCODER].grad
    assert gradient[2].abs().sum() > 0
    assert gradient[[0, 1, 3, 4]].abs().sum() == 0
    assert tokens.values[ENCODER].grad.abs().sum() == 0


def test_class_word_of_several_tokens_is_averaged(tiny_base):
    table = tiny_base.text_encoder.get_input_embeddings().weight
    ids = tiny_base.tokenizer("old man", add_special_tokens=False).input_ids
    assert len(ids) == 2
    assert torch.allclose(class_embedding(tiny_base, "old man"), table[ids].mean(dim=0))
    with pytest.raises(UsageError, match="no token for class word"):
        class_embedding(tiny_base, " ")


def test_arrays_round_trip():
    tokens = person()
    back = tokens_from_arrays(*arrays_from_tokens(tokens))
    assert torch.equal(back.keys[ENCODER], tokens.keys[ENCODER])
    assert torch.equal(back.values[ENCODER], tokens.values[ENCODER])


@pytest.mark.parametrize("self_attention", [True, False])
@pytest.mark.parametrize("split", [True, False])
def test_module_starts_at_the_class_word_and_is_seeded(self_attention, split):
    word = torch.randn(24, generator=torch.Generator().manual_seed(0))

    def build() -> TokenModule:
        return TokenModule(
            word,
            embedding_scale=0.02,
            stages=3,
            vectors=2,
            split=split,
            self_attention=self_attention,
            generator=torch.Generator().manual_seed(1),
        )

    module, again = build(), build()
    keys, values = module()
    assert torch.equal(keys, word.expand(3, 2, -1))
    assert torch.equal(values, keys)
    assert (keys is values) != split
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in module.state_dict().items())
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_no_sign_of_a_weight_is_left_behind(tiny_base):
    """Nested weights, names in brackets, blanks and backslashes: the text encoder sees words alone."""
    plain = tokenize_prompt(tiny_base, r"a <al> \(old\) cup at night", {"al": 1})
    weighted = tokenize_prompt(tiny_base, r"a ((<al>:1.2) \(old\):1.5) (cup: 1.2) at [night]", {"al": 1})
    assert weighted.ids == plain.ids
    assert weighted.positions == plain.positions
    assert [weight for weight in weighted.weights if weight != 1] == pytest.approx(
        [1.8, *[1.5] * 3, 1.2, 1 / 1.1], abs=1e-9
    )
