"""One model measured: quality, memory, speed, what it emits and repeats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypertok.errors import InputError
from hypertok.measure.bootstrap import ratio
from hypertok.measure.coding import Coding, encode_checked, load_coding
from hypertok.measure.device import LIGHTER, device_of
from hypertok.measure.emission import require_new_units
from hypertok.measure.measured import Measured, result_of
from hypertok.measure.memory import measure_prefill
from hypertok.measure.minimal_pairs import MinimalPair, read_pairs
from hypertok.measure.options import ONLY_READ, PARTS, MeasureOptions, PartName
from hypertok.measure.parts import live_parts, predicted
from hypertok.measure.quality import check_windows, measure_quality
from hypertok.measure.room import require_room
from hypertok.measure.subject import Subject, load_subject, require_positions
from hypertok.model.config import position_rows, read_config
from hypertok.model.extra import require_train
from hypertok.model.full_gpu import full_gpu_told
from hypertok.model.seen import count_seen
from hypertok.progress import Steps, silent
from hypertok.tokenizer.plain import refuse_surrogates


def measure_model(
    folder: Path | str,
    texts: Iterable[str],
    options: MeasureOptions | None = None,
    *,
    documents: Sequence[str] | None = None,
    progress: Steps | None = None,
) -> Measured:
    """Measure a model folder, extended by us or any other of transformers, on raw texts.

    Memory comes first, in a process of its own, before the model is loaded here.

    Args:
        texts: held-out documents; the same for every arm that is to be compared.
        documents: the whole documents where texts are beginnings of them, to be known again if they were trained on.
        progress: told (part, done, of).

    Raises:
        InputError: an extra is not installed, no model, no text or a path instead of texts, a lone surrogate, too
            little memory for the weights, a GPU without that for its bits per character, or a part asked for by name
            cannot be measured.
        ArtifactError: an extended folder is damaged.
    """
    require_train()
    from hypertok.model.load import check_kind, computed

    folder, options, texts = Path(folder), options or MeasureOptions(), _checked(texts)
    coding = load_coding(folder)
    check_kind(folder)
    wanted = _parts(coding, options)
    pairs = _asked_pairs(coding, str(folder), options, wanted)
    if "quality" in wanted:  # before minutes of measuring are lost to it
        check_windows(read_config(folder), options.context, options.overlap, len(coding.start))
    computes = any(part != "memory" for part in wanted)
    require_room(folder, options.device, options.dtype, computes=computes)
    skipped: dict[str, str] = {}
    seen = count_seen(folder, texts if documents is None else documents)
    if coding.only_read and options.parts is None:
        skipped |= dict.fromkeys((part for part in PARTS if part not in wanted), "its units are only read, not written")
    found = _memory(folder, coding, texts, options, skipped, progress) if "memory" in wanted else {}
    if computes:
        with full_gpu_told(LIGHTER):
            subject = load_subject(folder, device=options.device, dtype=options.dtype, coding=coding)
            if options.dtype == "auto":  # memory, above, is that of the checkpoint's own type
                computed(subject.model)
            found |= _measure(subject, texts, pairs, options, wanted, skipped, progress)
    return result_of(str(folder), coding, texts, options, {**found, "seen": seen, "skipped": skipped})


def _checked(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, (str, Path)):  # a string is an iterable of strings, too
        raise InputError(
            f"texts: {str(texts)[:60]!r} is one text or a path; give a list of documents (of a folder or file: "
            "[one.text for one in hypertok.corpus.documents.read_documents(path)])"
        )
    found = [text for text in texts if text]
    refuse_surrogates(found)
    if not found:
        raise InputError("no text to measure on; name a folder or file that holds some")
    return found


def _parts(coding: Coding, options: MeasureOptions) -> tuple[PartName, ...]:
    """What is measured: what is asked for, or all that says something of such a model."""
    if options.parts is not None:
        return options.parts
    return ONLY_READ if coding.only_read else tuple(part for part in PARTS if part != "reading")


def _asked_pairs(coding: Coding, name: str, options: MeasureOptions, wanted: Sequence[PartName]) -> list[MinimalPair]:
    """The minimal pairs, if they are to be measured; what is asked for by name and cannot be had is refused first.

    Before minutes of measuring are lost to it.
    """
    by_name = options.parts or ()
    if options.pairs is None and "pairs" in by_name:
        raise InputError("minimal pairs were asked for and no file of them is named; give one (--pairs FILE)")
    if options.pairs is not None and "pairs" not in wanted:
        raise InputError(
            f"{options.pairs}: minimal pairs are not among what is to be measured ({', '.join(wanted)}); add pairs "
            "(--only), or leave the file out"
        )
    if {"emission", "reading"} & {*by_name}:
        require_new_units(coding, name)
    return read_pairs(options.pairs) if options.pairs is not None else []


@contextmanager
def _excused(part: PartName, options: MeasureOptions, skipped: dict[str, str]) -> Iterator[None]:
    """A part that cannot be measured is noted; one that was asked for by name is an error."""
    try:
        with full_gpu_told(LIGHTER):
            yield
    except InputError as error:
        if options.parts is not None:
            raise
        skipped[part] = str(error)


def _memory(
    folder: Path,
    coding: Coding,
    texts: Sequence[str],
    options: MeasureOptions,
    skipped: dict[str, str],
    progress: Steps | None,
) -> dict[str, Any]:
    """Predicted memory, and that of a process of its own, which needs no prediction."""
    tell = progress or silent
    tell("memory", 0, 2)
    found: dict[str, Any] = {}
    with _excused("memory", options, skipped):
        config = read_config(folder)
        try:
            tokens = sum(len(coding.encode(text)) for text in texts)
            found |= predicted(
                config,
                characters_per_token=sum(map(len, texts)) / tokens,
                new_rows=len(coding.new_ids),
                cards=options.cards,
                dtype=options.dtype,
            )
        except InputError as error:
            skipped["predicted memory"] = str(error)
        tell("memory", 1, 2)
        text = "\n\n".join(texts)[: options.prefill_characters]
        decoder = config.get_text_config(decoder=True)
        ids = [*coding.start, *encode_checked(coding.encode, text, decoder.vocab_size, str(folder)).tolist()]
        what = f"the prefill of {len(text):,} characters"
        remedy = "give fewer characters (prefill_characters; --characters)"
        require_positions(position_rows(config), len(ids), what, remedy)
        device = device_of(options.device)
        found["prefill"] = measure_prefill(folder, ids, len(text), device=device, dtype=options.dtype)
    tell("memory", 2, 2)
    return found


def _measure(
    subject: Subject,
    texts: Sequence[str],
    pairs: Sequence[MinimalPair],
    options: MeasureOptions,
    wanted: Sequence[PartName],
    skipped: dict[str, str],
    progress: Steps | None,
) -> dict[str, Any]:
    """All parts that need the loaded model."""
    tell = progress or silent
    coding, found = subject.coding, dict[str, Any]()
    if "quality" in wanted:
        quality = measure_quality(
            subject.model,
            coding.encode,
            texts,
            start=coding.start,
            context=options.context,
            overlap=options.overlap,
            progress=lambda done, total: tell("quality", done, total),
        )
        found["quality"] = quality
        if len(texts) > 1:
            found["bits_per_character"] = ratio(*quality.sums, seed=options.seed)
    parts = live_parts(
        subject,
        texts,
        lambda: pairs,
        samples=options.samples,
        new_tokens=options.new_tokens,
        context=options.context,
        seed=options.seed,
        batches=options.batches,
        characters=options.speed_characters,
    )
    for part, measure in parts.items():
        if part in wanted and (pairs or part != "pairs"):
            tell(part, 0, 1)
            with _excused(part, options, skipped):
                found |= measure()
            tell(part, 1, 1)
    model = subject.model
    return {
        **found,
        "architecture": type(model).__name__,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.device),
        "rows": subject.rows,
    }
