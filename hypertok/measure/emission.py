"""Whether a model writes its new units itself: their share of generated text beside their share of real text.

The same passages serve for both: a model continues the first part of each, sampling from its whole distribution, and
the real second part is encoded. A model that reads new units but falls back on stock tokens when it writes gains
nothing in generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypertok.errors import InputError
from hypertok.measure.coding import Coding
from hypertok.measure.generate import generate
from hypertok.measure.passages import cut_passages, sentence_ends
from hypertok.measure.subject import Subject


@dataclass(frozen=True)
class Emission:
    """Shares of new units, in tokens and in the characters they stand for.

    Attributes:
        passages: how many were continued.
        generated_tokens, generated_characters: sums over what was generated.
        generated_token_share, generated_character_share: of these in new units.
        generated_units: different new units among them.
        real_tokens, real_characters, real_token_share, real_character_share, real_units: the same for the real text.
    """

    passages: int
    generated_tokens: int
    generated_characters: int
    generated_token_share: float
    generated_character_share: float
    generated_units: int
    real_tokens: int
    real_characters: int
    real_token_share: float
    real_character_share: float
    real_units: int


def require_new_units(coding: Coding, name: str) -> None:
    """Refuse a model that can emit none.

    Raises:
        InputError: it has none.
    """
    if not coding.new_ids:
        raise InputError(f"{name}: has no new units, so none can be emitted; name an extended model")


def measure_emission(
    subject: Subject,
    texts: Sequence[str],
    *,
    samples: int = 32,
    prompt_characters: int = 300,
    real_characters: int = 300,
    new_tokens: int = 64,
    seed: int = 0,
) -> Emission:
    """Continue passages of the texts by `new_tokens` ids each, the end of text forbidden.

    A passage is cut at the last end of a sentence within its first `prompt_characters` characters.

    Raises:
        InputError: the model has no new units, no text is long enough, or the model cannot read what it continues.
    """
    coding = subject.coding
    require_new_units(coding, subject.name)
    length = prompt_characters + real_characters
    found = cut_passages(texts, length, samples, lambda one: sentence_ends(one, 1, prompt_characters)[::-1])
    if not found:
        raise InputError(
            f"no text has {length} characters with an end of a sentence in the first {prompt_characters}, so nothing "
            "can be continued; name longer texts"
        )
    prompts, real, written = [], _Share(), _Share()
    for passage, cut in found:
        prompts.append(subject.ids(passage[:cut]))
        real.add(subject, (), coding.encode(passage[cut:]))
    what = f"continuing {prompt_characters:,} characters by {new_tokens:,} tokens"
    subject.require_room(prompts, new_tokens, what, "set new_tokens to fewer, or leave emission out")
    rows = generate(subject, prompts, tokens=new_tokens, seed=seed, whole_length=True)
    for prompt, ids in zip(prompts, rows, strict=True):
        written.add(subject, prompt, ids)
    return Emission(
        len(found),
        written.tokens,
        written.characters,
        written.new_tokens / max(1, written.tokens),
        written.new_characters / max(1, written.characters),
        len(written.units),
        real.tokens,
        real.characters,
        real.new_tokens / max(1, real.tokens),
        real.new_characters / max(1, real.characters),
        len(real.units),
    )


class _Share:
    """Sums over ids: all, and those of new units."""

    def __init__(self) -> None:
        self.tokens = self.characters = self.new_tokens = self.new_characters = 0
        self.units: set[int] = set()

    def add(self, subject: Subject, prompt: Sequence[int], ids: Sequence[int]) -> None:
        """Count ids that stand after a prompt; a token's characters are what it adds to the text before it."""
        coding, length = subject.coding, 0
        for place, one in enumerate(ids, 1):
            before, length = length, len(coding.continuation(prompt, ids[:place]))
            self.tokens += 1
            self.characters += length - before
            if one in coding.new_ids:
                self.new_tokens += 1
                self.new_characters += length - before
                self.units.add(one)
