"""Bits of every token under a model, without ever holding the logits of a whole sequence.

The model's body runs once per batch. Then its own head is run over a few positions at a time, by calling the model
again with a body that answers with those hidden states; so whatever the head does besides a product (soft caps,
scales) is done, for any causal language model of transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hypertok.errors import InputError
from hypertok.progress import Count

#: Logits that live at once, in elements; fp32 and its temporaries are about three times four bytes for each.
LOGITS = 1 << 25
#: Input tokens of a batch.
BATCH_TOKENS = 4_096

NO_PROBABILITIES = (
    "the model gives no probabilities (NaN or infinite logits); measure in float32, and if that does not help, its "
    "weights are damaged"
)

Ids = np.ndarray[Any, np.dtype[np.int64]]
Bits = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of ids; its last `scored` ones, not all of them, are scored, each given all before it in the window."""

    ids: Ids
    scored: int


def token_bits(
    model: Any,
    windows: Sequence[Window],
    *,
    chunk: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    without: Sequence[int] = (),
    progress: Count | None = None,
) -> list[Bits]:
    """Minus the base-2 logarithm of the probability of every scored id.

    Windows of about the same length go through the model together, padded on the right, which no position before the
    padding can see. Logarithms are taken in float32 of logits in the model's own type.

    Args:
        model: a causal language model of transformers, or one wrapped by PEFT, in eval mode.
        chunk: positions whose logits live at once; None for as many as `LOGITS` allows.
        batch_tokens: input tokens of a batch; a longer window is a batch by itself.
        without: ids that cannot come: the others share the whole probability.
        progress: told (tokens done, tokens in all).

    Returns:
        for every window an array of shape (scored,), in bits.

    Raises:
        InputError: a model without a body of its own, a window with nothing before what is scored, or no
            probabilities.
    """
    import torch

    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    body = model.base_model
    if body is model:
        raise InputError(f"{type(model).__name__} has no body apart from its head; give a causal language model")
    if any(not 0 < window.scored < len(window.ids) for window in windows):
        raise InputError("a window must score at least one id and have at least one before it")
    found: list[Bits] = [np.zeros(0)] * len(windows)
    total, done = sum(len(window.ids) for window in windows), 0
    matrix = model.get_input_embeddings().weight
    chunk = chunk or max(1, LOGITS // int(matrix.shape[0]))
    forbidden = torch.tensor(without, dtype=torch.int64, device=matrix.device)
    with torch.inference_mode():
        for numbers in _batches([len(window.ids) - 1 for window in windows], batch_tokens):
            batch = [windows[number] for number in numbers]
            padded = np.zeros((len(batch), max(len(window.ids) for window in batch) - 1), np.int64)
            for row, window in zip(padded, batch, strict=True):
                row[: len(window.ids) - 1] = window.ids[:-1]  # nothing follows the last id
            output = body(input_ids=torch.from_numpy(padded).to(matrix.device), use_cache=False)
            hidden = torch.cat(  # (scored ids of the batch, d)
                [
                    states[len(window.ids) - 1 - window.scored : len(window.ids) - 1]
                    for states, window in zip(output.last_hidden_state, batch, strict=True)
                ]
            )
            targets = torch.from_numpy(np.concatenate([window.ids[-window.scored :] for window in batch]))
            bits = np.concatenate(
                [
                    _bits(model, body, output, hidden[at : at + chunk], targets[at : at + chunk], forbidden)
                    for at in range(0, len(targets), chunk)
                ]
            )
            if not np.isfinite(bits).all():
                raise InputError(NO_PROBABILITIES)
            ends = np.cumsum([window.scored for window in batch])
            for number, part in zip(numbers, np.split(bits, ends[:-1]), strict=True):
                found[number] = part
            done += sum(len(window.ids) for window in batch)
            if progress:
                progress(done, total)
    return found


def _bits(model: Any, body: Any, output: Any, hidden: Any, targets: Any, without: Any) -> Bits:
    """Bits of `targets` (n,) given `hidden` (n, d), where the ids `without` cannot come."""
    import torch

    with _answering(body, type(output)(last_hidden_state=hidden[None])):
        logits = model(input_ids=torch.zeros((1, len(hidden)), dtype=torch.long, device=hidden.device)).logits
    logits = logits[0].float()  # (n, rows)
    if len(without):
        logits = logits.index_fill(1, without.to(logits.device), float("-inf"))
    chosen = logits.gather(1, targets.to(logits.device)[:, None])[:, 0]
    nats = torch.logsumexp(logits, dim=1) - chosen
    bits: Bits = nats.cpu().double().numpy() / np.log(2)
    return bits


@contextmanager
def _answering(body: Any, answer: Any) -> Iterator[None]:
    """While this lasts, `body` does no work and answers with `answer`."""
    own = body.__dict__.get("forward")
    body.forward = lambda *args, **kwargs: answer
    try:
        yield
    finally:
        if own is None:
            del body.forward
        else:  # a wrapper that another library put there
            body.forward = own


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of windows that go together: from the longest down, at most `batch_tokens` with their padding."""
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch
