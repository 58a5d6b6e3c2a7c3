"""From an arm to a model folder: the stock model itself, or one extended for it, made once per set of inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypertok
from hypertok.errors import InputError
from hypertok.experiment.definition import Arm
from hypertok.replacing import alone
from hypertok.tokenizer.extend import ExtendOptions, extend
from hypertok.training.options import COMPOSER, READERS
from hypertok.vocabulary.units import TooFewRows

Tell = Callable[[str], None]


def key_of(*parts: Any) -> str:
    """sha256 of values as JSON: what tells one set of inputs from another."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def arm_folder(
    arm: Arm,
    model: Path,
    lexicon: Path | None,
    work: Path,
    sha256: Mapping[str, str],
    tell: Tell,
    *,
    corpus: Path | None = None,
    characters: int | None = None,
    seed: int = 0,
) -> Path:
    """The folder of an arm's model before it is trained.

    An extended one lies in `work`, under the sha256 of what it is made from, and is made when it is not there.

    Args:
        corpus, characters, seed: what rows that are made by training are trained on: the arm's own text, no more.

    Raises:
        InputError: the model cannot be extended so, or no lexicon is given.
    """
    if arm.stock:
        return model
    if lexicon is None:
        raise InputError(f"arms.{arm.name}: extending needs a lexicon; name it with --lexicon")
    made_from = {name: sha256[name] for name in ("model", "tokenizer", "lexicon")}
    own: list[Any] = [arm.tokenizer.model_dump(mode="json"), arm.init]
    if arm.init in READERS:
        made_from["corpus"] = sha256["corpus"]
        own += [characters, seed, arm.train.bos, arm.train.dtype]
    folder = work / "models" / key_of(hypertok.__version__, made_from, *own)[:16]
    with alone(folder, tell):
        if not folder.is_dir():  # written beside and renamed, so it is whole when it is there
            from hypertok.model.extend import RowMaker, extend_model

            tell(f"{arm.name}: extending the model by {arm.tokenizer.rows:,} rows")
            init: str | RowMaker = arm.init
            if arm.init in READERS:
                init = _reader(arm, corpus, characters, seed)
            with _in_words_of_a_definition(f"arms.{arm.name}", arm.tokenizer):
                extend_model(model, lexicon, folder, arm.tokenizer, init=init)
    return folder


def tokenizer_folder(
    tokenizer: Path, lexicon: Path, options: ExtendOptions, work: Path, sha256: Mapping[str, str], tell: Tell
) -> Path:
    """The folder of an extended tokenizer without a model, made when it is not there.

    Args:
        sha256: of "tokenizer" and "lexicon".
    """
    made_from = {name: sha256[name] for name in ("tokenizer", "lexicon")}
    folder = work / "tokenizers" / key_of(hypertok.__version__, made_from, options.model_dump(mode="json"))[:16]
    with alone(folder, tell):
        if not folder.is_dir():
            tell(f"{tokenizer.name}: extending the tokenizer by {options.rows:,} units")
            with _in_words_of_a_definition(tokenizer.name, options):
                extend(tokenizer, lexicon, folder, options)
    return folder


@contextmanager
def _in_words_of_a_definition(what: str, options: ExtendOptions) -> Iterator[None]:
    """Where there are too few rows: it has no --rows."""
    try:
        yield
    except TooFewRows as error:
        raise InputError(
            f"{what}: {options.rows} new rows, and {error.what} {error.found}; lower rows in [tokenizer] of the "
            f"definition, or {error.remedy}"
        ) from error


def _reader(arm: Arm, corpus: Path | None, characters: int | None, seed: int) -> Any:
    if corpus is None:
        raise InputError(f"arms.{arm.name}: init {arm.init} reads training texts; name them with --corpus")
    from hypertok.training.probe import ProbeOptions, chooser, texts_of

    options = ProbeOptions(bos=arm.train.bos, dtype=arm.train.dtype)
    return chooser(texts_of(corpus, seed, characters), options, composer_alone=arm.init == COMPOSER)
