"""Text from a model: greedy or sampled, for prompts of any lengths, by what the model itself prefers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.scoring import NO_PROBABILITIES
from hypertok.measure.subject import Subject


def generate(
    subject: Subject,
    prompts: Sequence[Sequence[int]],
    *,
    tokens: int,
    seed: int | None = None,
    whole_length: bool = False,
    batch: int = 8,
) -> list[list[int]]:
    """Up to `tokens` ids after each prompt, without the end-of-text id and what follows it.

    The model folder's own generation settings (temperature, min_p, suppressed tokens) are not used: they differ between
    arms.

    Args:
        prompts: ids, start included; none may be empty.
        seed: None takes the likeliest id every time; a number samples from the model's whole distribution.
        whole_length: forbid the end of text, so that every prompt gets `tokens` ids.
        batch: prompts that go together, padded on the left.

    Raises:
        InputError: it samples, and the logits are no numbers.
    """
    import torch

    model = subject.model
    ends = _ends(model)
    settings = _settings(ends, tokens, seed is not None, whole_length)
    found: list[list[int]] = []
    cuda = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _alone(model, settings):
        if seed is not None:
            torch.manual_seed(seed)
        for at in range(0, len(prompts), batch):
            part = prompts[at : at + batch]
            width = max(map(len, part))
            ids = torch.tensor([[0] * (width - len(one)) + list(one) for one in part], device=model.device)
            mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in part], device=model.device)
            with torch.inference_mode(), _told():
                output = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
            found += [_until(row, ends) for row in output[:, width:].tolist()]
    return found


def _settings(ends: Sequence[int], tokens: int, sample: bool, whole_length: bool) -> Any:
    """What is asked of the model; all else is as transformers has it by default."""
    from transformers import GenerationConfig

    neutral: dict[str, Any] = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if sample else {}
    settings: Any = GenerationConfig
    return settings(
        do_sample=sample,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        max_new_tokens=tokens,
        min_new_tokens=tokens if whole_length else 0,
        eos_token_id=list(ends) or None,
        pad_token_id=ends[0] if ends else 0,
        use_cache=True,
        **neutral,
    )


@contextmanager
def _alone(model: Any, settings: Any) -> Iterator[None]:
    """These settings in place of the model's own, from which transformers takes whatever a call leaves open.

    PEFT hands its own to the model inside, so those of every module are put back afterwards.
    """
    own = [(one, one.generation_config) for one in model.modules() if "generation_config" in vars(one)]
    try:
        for one, _ in own:
            one.generation_config = settings
        yield
    finally:
        for one, before in own:
            one.generation_config = before


@contextmanager
def _told() -> Iterator[None]:
    """What torch says of logits that are no numbers, as scoring says it."""
    try:
        yield
    except RuntimeError as error:
        if "probability tensor" not in str(error):
            raise
        raise InputError(NO_PROBABILITIES) from error


def _ends(model: Any) -> list[int]:
    """Ids that end a text."""
    settings = getattr(model, "generation_config", None)
    named = getattr(settings, "eos_token_id", None)
    if named is None:
        named = model.config.get_text_config().eos_token_id
    return [] if named is None else list(named) if isinstance(named, list | tuple) else [int(named)]


def _until(ids: list[int], ends: Sequence[int]) -> list[int]:
    place = next((number for number, one in enumerate(ids) if one in ends), len(ids))
    return ids[:place]
