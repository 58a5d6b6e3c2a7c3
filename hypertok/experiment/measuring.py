"""A trained arm measured while it is in memory: adapter merged and rows flat, as it would be shipped.

Everything but the steps on the way is measured once, at the end. A part that cannot be measured (no pairs given, texts
too short) is noted with its reason and stops nothing; bits per character must be measured. On a CPU all parts take half
an hour, so each is kept as it is done (`kept.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypertok.errors import InputError
from hypertok.experiment.definition import Measure, Part
from hypertok.experiment.kept import Kept
from hypertok.experiment.provenance import without_place
from hypertok.experiment.results import Sample
from hypertok.measure.bootstrap import ratio
from hypertok.measure.coding import load_coding
from hypertok.measure.device import LIGHTER, device_of
from hypertok.measure.form_groups import Forms, measure_forms
from hypertok.measure.generate import generate
from hypertok.measure.minimal_pairs import MinimalPair, read_pairs
from hypertok.measure.parts import Figures, live_parts, predicted
from hypertok.measure.passages import spread
from hypertok.measure.quality import Quality, Scored, score_texts
from hypertok.measure.scoring import Ids
from hypertok.measure.subject import Subject
from hypertok.model.config import read_config
from hypertok.model.full_gpu import full_gpu_told
from hypertok.tokenizer.hyper import HyperTokenizer


@dataclass(frozen=True)
class Texts:
    """What is measured on.

    Attributes:
        held_out: pieces of documents.
        drift: pieces by name.
        pairs: file of minimal pairs.
    """

    held_out: tuple[str, ...]
    drift: Mapping[str, tuple[str, ...]]
    pairs: Path | None = None


def live_subject(model: Path, trained: Path | None, measure: Measure) -> Subject:
    """A model folder with what was trained on it, if anything was, as one plain model in memory.

    Args:
        measure: settled, see `experiment/settle.py`: no data type is "auto" any more.
    """
    import torch

    from hypertok.model.pair import Pair
    from hypertok.model.trained import merged

    live = Pair.open(model).load(getattr(torch, measure.dtype))
    if trained is not None:
        live = merged(live, trained)
    with full_gpu_told(LIGHTER):
        live = live.to(device_of(measure.device))
    return Subject(live.eval(), load_coding(model), model)


def quality_of(subject: Subject, texts: Sequence[str], measure: Measure) -> Quality:
    """Bits per character, in windows that overlap.

    Raises:
        InputError: see `measure_quality`.
    """
    return _sum_of(_scored(subject, texts, measure), measure)


def measure_arm(
    subject: Subject,
    texts: Texts,
    measure: Measure,
    *,
    seed: int,
    kept: Kept,
    seen: Callable[[], Ids] | None = None,
) -> Figures:
    """Fields of `RunResult` that say what the arm can do.

    Args:
        kept: parts that an earlier start measured, and where those of this one go.
        seen: how often each id is in what the arm was trained on; None for one that was not.

    Raises:
        InputError: bits per character cannot be measured.
    """

    @cache
    def scored() -> list[Scored]:
        return _scored(subject, texts.held_out, measure)

    def bits() -> Figures:
        with full_gpu_told(LIGHTER):
            quality = _sum_of(scored(), measure)
        return {"quality": quality, "interval": ratio(*quality.sums)}

    found = {**kept.part("bits per character", bits), "rows": subject.rows, "new_rows": len(subject.coding.new_ids)}
    quality: Quality = found["quality"]
    live = live_parts(
        subject,
        texts.held_out,
        lambda: _pairs(texts.pairs, measure),
        samples=measure.samples,
        new_tokens=measure.new_tokens,
        context=measure.context,
        seed=seed,
    )
    parts: list[tuple[Part, Callable[[], Figures]]] = [
        ("drift", lambda: {"drift": {name: quality_of(subject, ones, measure) for name, ones in texts.drift.items()}}),
        ("pairs", live["pairs"]),
        ("copy", live["copy"]),
        ("forms", lambda: {"forms": _forms(subject, scored(), seen)}),
        ("memory", lambda: _memory(subject, quality, measure)),
        ("speed", live["speed"]),
        ("samples", lambda: {"samples": _samples(subject, measure, seed)}),
    ]
    if subject.coding.new_ids:
        parts.append(("emission", live["emission"]))
    skipped = {}
    for part, work in parts:
        if part not in measure.parts:
            continue
        try:
            with full_gpu_told(f"{LIGHTER}; then remove the file of this run and start again"):
                found |= kept.part(part, work)
        except InputError as error:
            skipped[part] = without_place(error, subject.folder)
    return {**found, "skipped": skipped}


def _scored(subject: Subject, texts: Sequence[str], measure: Measure) -> list[Scored]:
    coding = subject.coding
    return score_texts(
        subject.model, coding.encode, texts, start=coding.start, context=measure.context, overlap=measure.overlap
    )


def _sum_of(scored: Sequence[Scored], measure: Measure) -> Quality:
    return Quality.of([one.document for one in scored], measure.context, measure.overlap)


def _forms(subject: Subject, scored: Sequence[Scored], seen: Callable[[], Ids] | None) -> Forms:
    if not subject.coding.new_ids or subject.folder is None:
        raise InputError("no new units, so there are none to group")
    if seen is None:
        raise InputError("not trained, so there is no text in which its units could be frequent or rare")
    return measure_forms(scored, HyperTokenizer.from_pretrained(subject.folder), seen())


def _pairs(path: Path | None, measure: Measure) -> list[MinimalPair]:
    if path is None:
        raise InputError("no file of minimal pairs is given; name one with --pairs")
    found = read_pairs(path)
    return spread(found, measure.pairs) if measure.pairs else found


def _memory(subject: Subject, quality: Quality, measure: Measure) -> Figures:
    # Of the checkpoint's own type, as in use: the model in memory may be of another one to be measured.
    config = subject.model.config if subject.folder is None else read_config(subject.folder)
    new_rows = len(subject.coding.new_ids)
    return predicted(config, characters_per_token=quality.characters_per_token, new_rows=new_rows, cards=measure.cards)


def _samples(subject: Subject, measure: Measure, seed: int) -> tuple[Sample, ...]:
    coding = subject.coding
    if not measure.prompts:
        return ()
    prompts = list(map(subject.ids, measure.prompts))
    if not all(prompts):
        raise InputError("a prompt without tokens; write some words in measure.prompts")
    what = f"a prompt of {max(map(len, prompts)):,} tokens and {measure.new_tokens:,} after it"
    subject.require_room(prompts, measure.new_tokens, what, "lower measure.new_tokens")
    written = generate(subject, prompts, tokens=measure.new_tokens, seed=seed)
    return tuple(
        Sample(prompt=text, text=_storable(coding.continuation(prompt, ids)))
        for text, prompt, ids in zip(measure.prompts, prompts, written, strict=True)
    )


def _storable(text: str) -> str:
    """What a model can write and a page cannot show, replaced: control characters, halves of surrogate pairs."""
    shown = "".join("�" if ord(one) < 32 and one not in "\n\t" else one for one in text)
    return shown.encode("utf-8", "replace").decode("utf-8")
