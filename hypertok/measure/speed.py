"""Speed in characters: how fast a text is read, and how fast one is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.device import wait_for
from hypertok.measure.generate import generate
from hypertok.measure.passages import cut_passages, sentence_ends
from hypertok.measure.subject import Subject, last_logits, require_positions

#: Characters before what is generated, at most.
_PROMPT = 200
#: Prompts, one after the other: as many as a batch of 8 takes in three runs.
_PROMPTS = 24


@dataclass(frozen=True)
class Speed:
    """Medians over `repeats` runs after a warm-up, all sequences of the batch together.

    Attributes:
        batch: sequences at once.
        device, threads: where; threads of a CPU.
        prefill_characters, prefill_tokens: length of the text that is read, per sequence.
        new_tokens: length of what is generated, per sequence.
        prefill_characters_per_second, prefill_tokens_per_second: reading, with a cache and the last logits only.
        generated_characters_per_second, generated_tokens_per_second: writing, sampled after short prompts whose reading
            is included.
        counted_tokens: generated tokens, of all runs and batches, whose characters per token turn tokens into
            characters. In older results (None) these are of one run's text, which another seed makes a third longer.
    """

    batch: int
    device: str
    threads: int
    repeats: int
    prefill_characters: int
    prefill_tokens: int
    new_tokens: int
    prefill_characters_per_second: float
    prefill_tokens_per_second: float
    generated_characters_per_second: float
    generated_tokens_per_second: float
    counted_tokens: int | None = None


def measure_speed(
    subject: Subject,
    texts: Sequence[str],
    *,
    batches: Sequence[int] = (1, 8),
    characters: int = 2_000,
    new_tokens: int = 64,
    repeats: int = 3,
    seed: int = 0,
) -> tuple[Speed, ...]:
    """Read the first `characters` of the texts and generate `new_tokens` after passages, for each size of batch.

    Raises:
        InputError: the texts are empty, or longer than the model can read.
    """
    import torch

    model, coding = subject.model, subject.coding
    read = "\n\n".join(texts)[:characters]
    ids, *prompts = map(subject.ids, (read, *_prompts(texts, read)))
    if not read or not all(prompts):
        raise InputError("no text to time the model on; name texts that hold some")
    longest = max(len(ids), *(len(prompt) + new_tokens - 1 for prompt in prompts))  # the last token is not read again
    what = f"reading {len(read):,} characters and writing {new_tokens:,} tokens"
    require_positions(
        subject.positions,
        longest,
        what,
        "give fewer characters (speed_characters; --characters) or new_tokens, or leave speed out",
    )
    written: dict[tuple[int, int], list[str]] = {}

    def prefill(batch: int, number: int) -> None:
        inputs = torch.tensor([ids] * batch, device=model.device)
        with torch.inference_mode():
            model(input_ids=inputs, use_cache=True, **last_logits(model))

    def write(batch: int, number: int) -> None:
        asked = [prompts[(number * batch + place) % len(prompts)] for place in range(batch)]
        rows = generate(subject, asked, tokens=new_tokens, seed=seed + number, whole_length=True, batch=batch)
        written[batch, number] = [coding.continuation(prompt, row) for prompt, row in zip(asked, rows, strict=True)]

    device = model.device
    times = [
        (batch, _seconds(partial(prefill, batch), repeats, device), _seconds(partial(write, batch), repeats, device))
        for batch in batches
    ]
    every = [text for texts in written.values() for text in texts]
    counted = len(every) * new_tokens
    per_token = sum(map(len, every)) / counted
    found = []
    for batch, reading, writing in times:
        tokens = batch * new_tokens / writing
        found.append(
            Speed(
                batch=batch,
                device=str(device),
                threads=torch.get_num_threads(),
                repeats=repeats,
                prefill_characters=len(read),
                prefill_tokens=len(ids),
                new_tokens=new_tokens,
                prefill_characters_per_second=batch * len(read) / reading,
                prefill_tokens_per_second=batch * len(ids) / reading,
                generated_characters_per_second=tokens * per_token,
                generated_tokens_per_second=tokens,
                counted_tokens=counted,
            )
        )
    return tuple(found)


def _prompts(texts: Sequence[str], read: str) -> list[str]:
    """Beginnings of passages, cut where a sentence ends; of short texts the beginning of what is read."""
    cut = cut_passages(texts, 2 * _PROMPT, _PROMPTS, lambda one: sentence_ends(one, 1, _PROMPT)[::-1])
    return [passage[:place] for passage, place in cut] or [read[:_PROMPT]]


def _seconds(work: Callable[[int], None], repeats: int, device: Any) -> float:
    """Median time of some work, told the number of the run, after the first run done once before."""
    work(0)
    times = []
    for number in range(repeats):
        wait_for(device)
        begin = perf_counter()
        work(number)
        wait_for(device)
        times.append(perf_counter() - begin)
    return median(times)
