"""The copy task: a model reads a passage, a marker and the passage's first sentence, and has to go on with the rest.

A model that has lost the thread of its tokens cannot do it, whatever its bits per character. The cut stands at the end
of a sentence, so all arms repeat the same characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypertok.errors import InputError
from hypertok.measure.bootstrap import Interval, ratio
from hypertok.measure.generate import generate
from hypertok.measure.passages import cut_passages, sentence_ends
from hypertok.measure.subject import Subject

#: What stands between a passage and its repetition: a base model knows blank lines, not requests.
MARKER = "\n\nТо же самое ещё раз, слово в слово:\n\n"
#: Characters that the first sentence must have, or it says too little about which passage is meant.
_FIRST = 20


@dataclass(frozen=True)
class Copied:
    """How exactly passages were repeated.

    Attributes:
        passages: how many were to be repeated.
        exact_passages: share of them repeated to the last character.
        characters: sum of what was to be repeated.
        exact_characters: share of these before the first mistake in each passage.
        by_passage: characters before the first mistake, and of the whole, of each; older results have none.
    """

    passages: int
    exact_passages: float
    characters: int
    exact_characters: float
    by_passage: tuple[tuple[int, int], ...] = ()

    @property
    def interval(self) -> Interval | None:
        """Of the share of characters, by passage; None for a single passage or where they are not told."""
        return ratio(*zip(*self.by_passage, strict=True)) if len(self.by_passage) > 1 else None


def measure_copy(
    subject: Subject, texts: Sequence[str], *, samples: int = 32, characters: int = 400, marker: str = MARKER
) -> Copied:
    """Let a model repeat passages of the texts, taking the likeliest token every time.

    Args:
        samples: passages at most.
        characters: length of a passage with its first sentence.

    Raises:
        InputError: no text has a passage that long with an end of a sentence in its first half, or the model cannot
            read one with its repetition.
    """
    coding = subject.coding
    tasks = cut_passages(texts, characters, samples, lambda one: sentence_ends(one, _FIRST, len(one) // 2))
    if not tasks:
        raise InputError(
            f"no text has {characters} characters with an end of a sentence in their first half, so nothing can be "
            "repeated; name longer texts"
        )
    rests = [passage[place:] for passage, place in tasks]
    prompts = []
    for passage, place in tasks:
        shown = f"{passage}{marker}{passage[:place]}"
        prompts.append(subject.ids(shown))
    # A model may write the same with shorter tokens than the tokenizer would take.
    budget = max(len(coding.encode(rest)) for rest in rests) * 3 // 2 + 8
    what = f"repeating a passage of {characters:,} characters"
    subject.require_room(prompts, budget, what, "leave copy out, or give shorter passages (characters)")
    written = generate(subject, prompts, tokens=budget)
    by_passage = tuple(
        (_in_common(coding.continuation(prompt, ids), rest), len(rest))
        for prompt, rest, ids in zip(prompts, rests, written, strict=True)
    )
    exact_passages = sum(right == whole for right, whole in by_passage)
    right, total = (sum(column) for column in zip(*by_passage, strict=True))
    return Copied(len(tasks), exact_passages / len(tasks), total, right / total, by_passage)


def _in_common(one: str, other: str) -> int:
    """Characters before the first difference."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
