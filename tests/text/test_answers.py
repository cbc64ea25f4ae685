"""Answers of language models: thoughts and special tokens are removed."""

import pytest

from actiongpt_jax.text.answers import clean, looks_like_thoughts

TEXT = "The person lifts the left knee."


def test_clean_puts_texts_on_one_line():
    assert clean("\n\nLegs.\nArms.\r\n\tHead. ") == "Legs. Arms. Head."
    assert clean("a\x00b\ud83d\x85c") == "a b? c"


@pytest.mark.parametrize(
    "raw",
    [
        f"<think>hm\n</think>\n{TEXT}",
        f"hm, the user</think>{TEXT}",
        f"<think>a</think> more</think>{TEXT}",
        f"Sure. <think>hm</think> {TEXT}",
        f"<THINK>hm</THINK>{TEXT}",
        f"<thinking>hm</thinking>{TEXT}",
        f"<seed:think>hm</seed:think>{TEXT}",
        f'<reasoning kind="x">hm</reasoning>{TEXT}',
        f"[THINK]hm[/THINK]{TEXT}",
        f"◁think▷hm◁/think▷{TEXT}",
        f"<think>hm</think><answer>{TEXT}</answer>",
        f"<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>{TEXT}"
        "<|end_of_solution|>",
        f"<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>{TEXT}<|END_RESPONSE|>",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{TEXT}<|return|>",
        f"<|channel|>final<|message|>{TEXT}",
        f"analysisWe need a text.assistantfinal{TEXT}",
        f"<|channel>thought\nhm<channel|>{TEXT}",
        f"<longcat_think>hm</longcat_think>{TEXT}",
        f"<internal_monologue>hm</internal_monologue>{TEXT}",
        f"<scratch_pad>hm</scratch_pad>{TEXT}",
        f"<cot>hm</cot>{TEXT}",
        f"<unused94>thought\nhm<unused95>{TEXT}",
        f"{TEXT}<|im_end|>",
        f"{TEXT}<|im_end|>\n<|im_start|>user\nAnd now?",
        f"<|im_start|>assistant\n{TEXT}<|im_end|>",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{TEXT}<|eot_id|>",
        f"<s> {TEXT}</s>",
        f"{TEXT}<｜end▁of▁sentence｜>",
    ],
)
def test_clean_keeps_what_follows_the_thoughts(raw):
    assert clean(raw) == TEXT
    assert looks_like_thoughts(raw) and not looks_like_thoughts(TEXT)


@pytest.mark.parametrize(
    "raw",
    [
        "<think>hm, the",
        "<THINKING>\nhm",
        "[THINK]hm",
        "<|channel|>analysis<|message|>We need",
        "analysisWe need",
        "<think>hm</think>",
        f"{TEXT} <think>but",
    ],
)
def test_unclosed_thought_is_an_empty_answer(raw):
    assert clean(raw) == ""
    assert looks_like_thoughts(raw)


@pytest.mark.parametrize(
    "text",
    [
        "Okay, so the user wants a description of walking.",
        "Hmm, let me think about the legs first.",
        "We need to describe how a person walks.",
        "Thinking Process: 1. Analyse the request.",
        "Here is my thought process: the legs come first.",
        f"<plan>hm</plan>{TEXT}",
        f"<think/>{TEXT}",
        f"&lt;think&gt;hm&lt;/think&gt;{TEXT}",
        f"＜think＞hm＜/think＞{TEXT}",
        f'<details type="reasoning">hm</details>{TEXT}',
        f"<tool_call>{{}}</tool_call>{TEXT}",
        f"```text {TEXT} ```",
    ],
)
def test_thinking_aloud_and_markup_are_recognised(text):
    assert looks_like_thoughts(text)


@pytest.mark.parametrize(
    "text",
    [
        "[1] The person thinks about it and scratches the head [thinking].",
        "The angle of the knee is < 90 degrees, then > 90.",
        "So the person walks on.",
        "The person describes a circle; the user of the chair sits down.",
        "Right, left, right: the feet step in turn.",
    ],
)
def test_ordinary_texts_are_unchanged(text):
    assert clean(text) == text
    assert not looks_like_thoughts(text)
