"""Speed in characters: how fast a text is read, and how fast one is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.generate import generate
from hypertok.measure.subject import Subject, encode_checked, last_logits, require_positions, wait_for

#: Characters before what is generated.
_PROMPT = 200


@dataclass(frozen=True)
class Speed:
    """Medians over `repeats` runs after a warm-up, all sequences of the batch together.

    Attributes:
        batch: sequences at once.
        device, threads: where; threads of a CPU.
        prefill_characters, prefill_tokens: length of the text that is read, per sequence.
        new_tokens: length of what is generated, per sequence.
        prefill_characters_per_second, prefill_tokens_per_second: reading, with a cache and the last logits only.
        generated_characters_per_second, generated_tokens_per_second: writing, sampled with a fixed seed after a short
            prompt whose reading is included; the characters are those of the generated text itself.
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


def measure_speed(
    subject: Subject,
    text: str,
    *,
    batches: Sequence[int] = (1, 8),
    characters: int = 2_000,
    new_tokens: int = 64,
    repeats: int = 3,
    seed: int = 0,
) -> tuple[Speed, ...]:
    """Read the first `characters` of a text and generate `new_tokens`, for each size of batch.

    Raises:
        InputError: the text is empty, or longer than the model can read.
    """
    import torch

    model, coding = subject.model, subject.coding
    read = text[:characters]
    ids = [*coding.start, *encode_checked(coding.encode, read, subject.rows).tolist()]
    prompt = [*coding.start, *coding.encode(text[:_PROMPT])]
    if not read or not prompt:
        raise InputError("no text to time the model on; name texts that hold some")
    longest = max(len(ids), len(prompt) + new_tokens - 1)  # the last token is not read again
    what = f"reading {len(read):,} characters and writing {new_tokens:,} tokens"
    require_positions(
        subject.positions, longest, what, "set speed_characters or new_tokens to fewer, or leave speed out"
    )
    found = []
    for batch in batches:
        inputs = torch.tensor([ids] * batch, device=model.device)
        written: list[list[int]] = []

        def prefill(inputs: torch.Tensor = inputs) -> None:
            with torch.inference_mode():
                model(input_ids=inputs, use_cache=True, **last_logits(model))

        def write(batch: int = batch, written: list[list[int]] = written) -> None:
            prompts = [prompt] * batch
            written[:] = generate(subject, prompts, tokens=new_tokens, seed=seed, whole_length=True, batch=batch)

        reading, writing = _seconds(prefill, repeats, model.device), _seconds(write, repeats, model.device)
        letters = sum(len(coding.continuation(prompt, row)) for row in written)
        found.append(
            Speed(
                batch=batch,
                device=str(model.device),
                threads=torch.get_num_threads(),
                repeats=repeats,
                prefill_characters=len(read),
                prefill_tokens=len(ids),
                new_tokens=new_tokens,
                prefill_characters_per_second=batch * len(read) / reading,
                prefill_tokens_per_second=batch * len(ids) / reading,
                generated_characters_per_second=letters / writing,
                generated_tokens_per_second=sum(map(len, written)) / writing,
            )
        )
    return tuple(found)


def _seconds(work: Callable[[], None], repeats: int, device: Any) -> float:
    """Median time of some work, after doing it once."""
    work()
    times = []
    for _ in range(repeats):
        wait_for(device)
        begin = perf_counter()
        work()
        wait_for(device)
        times.append(perf_counter() - begin)
    return median(times)
