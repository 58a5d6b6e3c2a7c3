"""What an experiment reads: held-out pieces, drift texts, what is known of the corpus, hashes of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hypertok.errors import InputError
from hypertok.experiment.corpus import folder_of, read_corpus
from hypertok.experiment.definition import Definition, Inputs, Measure
from hypertok.lexicon.lexicon import checked_manifest
from hypertok.measure.coding import load_coding
from hypertok.measure.device import device_of
from hypertok.measure.passages import sha256_of_texts, spread
from hypertok.model.config import read_config
from hypertok.tokenizer.stock import Stock

if TYPE_CHECKING:
    from hypertok.corpus.sources import Skipped

#: Held-out characters that training itself looks at, for its log and the ids of a cut head; figures are measured after.
WATCHED = 50_000


@dataclass(frozen=True)
class Read:
    """What was read and checked.

    Attributes:
        corpus_characters: of all training texts there are.
        texts: held-out pieces, one of each document, in the order of their names.
        folders: the top folders of these, "" where there is none.
        corpus_folders: characters of training text by top folder.
        drift: the same of texts that are not Russian, by name.
        sha256: of model, tokenizer, lexicon, corpus, held-out pieces and drift texts.
        watched: sha256 of the held-out texts that training itself looks at, however many are measured.
    """

    corpus_characters: int
    texts: tuple[str, ...] = field(repr=False)
    folders: tuple[str, ...] = field(repr=False)
    corpus_folders: dict[str, int] = field(repr=False)
    drift: Mapping[str, tuple[str, ...]] = field(repr=False)
    sha256: dict[str, str]
    watched: str


def needed(definition: Definition, *names: str) -> list[Path]:
    """The inputs of these names.

    Raises:
        InputError: one is not given.
    """
    found = []
    for name in names:
        path: Path | None = getattr(definition.inputs, name)
        if path is None:
            option = name.replace("_", "-")
            raise InputError(
                f"experiment {definition.name}: inputs.{name} is not given; name it with --{option}, or in the TOML"
            )
        if not path.exists():
            raise InputError(f"experiment {definition.name}: inputs.{name}: {path} is not there; correct the path")
        found.append(path)
    return found


def read_inputs(definition: Definition, work: Path, skipped: Skipped | None = None) -> Read:
    """Read and check everything that training and measuring need.

    Args:
        work: where what is known of the corpus is kept.
        skipped: told path and reason of each file of texts that is left out, of some more than once.

    Raises:
        InputError: something is missing, too short, cannot be measured so, or held-out text is in the training text.
    """
    from hypertok.training.data import first_texts, read_texts

    model, corpus, held_out = needed(definition, "model", "corpus", "held_out")
    _check_measure(definition, model)
    held = list(read_texts(held_out, skipped=skipped))
    training = read_corpus(corpus, held, definition.measure.document_characters, work, skipped)
    if training.characters < definition.characters:
        raise InputError(
            f"{corpus}: {training.characters:,} characters in it and every arm is to read "
            f"{definition.characters:,}; lower characters, or give more text"
        )
    texts = pieces([text.text for text in held], definition.measure)
    folders = tuple(spread([folder_of(text.name) for text in held], len(texts)))
    if len(texts) < 2:
        remedy = (
            "raise measure.characters, or lower measure.document_characters" if len(held) > 1 else "give more texts"
        )
        raise InputError(f"{held_out}: intervals by document need two documents or more; {remedy}")
    drift = drift_texts(definition.inputs, definition.measure, skipped)
    hashes = {"corpus": training.sha256, "held_out": sha256_of_texts(texts), **model_hashes(model)}
    hashes |= {name: sha256_of_texts(found) for name, found in drift.items()}
    if any(not arm.stock for arm in definition.arms):
        hashes["lexicon"] = lexicon_hash(*needed(definition, "lexicon"))
    watched = sha256_of_texts(text.text for text in first_texts(held, WATCHED))
    return Read(training.characters, texts, folders, training.folders, drift, hashes, watched)


def _check_measure(definition: Definition, model: Path) -> None:
    """What would otherwise be found after hours of training."""
    from hypertok.measure.minimal_pairs import read_pairs
    from hypertok.measure.quality import check_windows

    measure = definition.measure
    device_of(measure.device)
    check_windows(read_config(model), measure.context, measure.overlap, len(load_coding(model).start))
    if "pairs" in measure.parts and definition.inputs.pairs is not None:
        read_pairs(definition.inputs.pairs)


def drift_texts(inputs: Inputs, measure: Measure, skipped: Skipped | None = None) -> dict[str, tuple[str, ...]]:
    """The texts that are not Russian, as far as they are given."""
    from hypertok.training.data import read_texts

    paths = {"english": inputs.english, "code": inputs.code}
    if "drift" not in measure.parts:
        return {}
    return {
        name: pieces([text.text for text in read_texts(path, skipped=skipped)], measure)
        for name, path in paths.items()
        if path
    }


def pieces(texts: Iterable[str], measure: Measure) -> tuple[str, ...]:
    """The beginning of each document, of documents spread evenly, so many characters in all.

    Many short pieces say more than a few long ones: documents differ more than the pages of one do.
    """
    cut = [text[: measure.document_characters] for text in texts]
    count = len(cut)
    while count > 1 and sum(map(len, spread(cut, count))) > measure.characters:
        count -= max(1, count // 50)
    return tuple(spread(cut, count))


def model_hashes(model: Path) -> dict[str, str]:
    """sha256 of a stock model, and of its tokenizer."""
    from hypertok.model.checkpoint import Checkpoint
    from hypertok.model.pair import identity

    return {"model": identity(Checkpoint.open(model)), "tokenizer": Stock.load(model).sha256}


def lexicon_hash(lexicon: Path) -> str:
    """sha256 of a lexicon."""
    return checked_manifest(lexicon).sha256
