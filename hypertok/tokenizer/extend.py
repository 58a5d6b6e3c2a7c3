"""`extend`: from a stock tokenizer and a lexicon to the folder of an extended tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

import hypertok
from hypertok.artifact import Manifest, refuse_foreign, seal, writing
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.progress import Steps, silent
from hypertok.tokenizer.delta import delta_table
from hypertok.tokenizer.folder import check_tokens, write_tokenizer
from hypertok.tokenizer.kind import DELTA, GIVEN_UP, KIND, SYMBOLS, padded
from hypertok.tokenizer.pretokenizer import lookup_only_words, phrase_pretokenizer, symbol_pretokenizer
from hypertok.tokenizer.scripts import RUSSIAN
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surface import with_surface
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.unused import (
    GivenUp,
    TooFewUnused,
    given_up_by_script,
    given_up_table,
    unused_tokens,
    used_ids,
    with_replaced,
)
from hypertok.vocabulary.learn import learn_units
from hypertok.vocabulary.symbol_codec import symbol_run_pattern
from hypertok.vocabulary.symbols import SymbolUnits, learn_symbol_units
from hypertok.vocabulary.texts import Texts, concept_texts, seen_texts
from hypertok.vocabulary.units import Method, Span, Units


@dataclass(frozen=True)
class Addition:
    """What goes into the manifest for files that somebody adds to the folder.

    Attributes:
        parents, recipe, facts: entries beside those of the tokenizer.
    """

    parents: dict[str, str]
    recipe: dict[str, Any]
    facts: dict[str, Any]


#: Writes more files into the folder before it is sealed, given the delta table and the number of rows.
Also = Callable[[Path, pl.DataFrame, int], Addition]


class ExtendOptions(BaseModel):
    """What decides the extension besides the stock tokenizer and the lexicon.

    Attributes:
        rows: new tokens.
        span: how far a unit may reach: inside a word, or over several.
        text: what the tokenizer is for, text as written or the codec's symbol text.
        units: how units are chosen: by the lexicon, or by plain continued byte-pair encoding (the control).
        general: weight of general Russian beside the corpus when units are chosen, in corpora; 0 for none.
        replace_unused: languages to keep, "ru" always among them; new units take the ids of tokens that no text in them
            uses.

    Raises:
        pydantic.ValidationError: an unknown name, or a value that does not fit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(32_768, ge=1)
    span: Span = "phrase"
    text: Literal["surface", "symbols"] = "surface"
    units: Method = "concept"
    general: float = Field(0.05, ge=0, le=10)
    replace_unused: tuple[str, ...] = ()


def extend(
    stock_path: Path | str,
    lexicon_path: Path | str,
    output: Path | str,
    options: ExtendOptions | None = None,
    *,
    progress: Steps | None = None,
    also: Also | None = None,
) -> Manifest:
    """Extend a stock tokenizer by units learned from a lexicon and write it to the folder `output`.

    Args:
        stock_path: a tokenizer.json, a SentencePiece or tiktoken file, or the folder of one.
        lexicon_path: written by `build_lexicon`.
        output: folder to write; replaced if it is such a folder.
        options: everything else.
        progress: told (step, done, of).
        also: adds the model's part to the same folder, so that both appear together or not at all.

    Raises:
        InputError: the stock tokenizer is of an unsupported kind.
        TooFewRows: an InputError, whose `found` says for how many rows there are units.
        ArtifactError: the lexicon is damaged or too old, or `output` is something else.
    """
    options, output = options or ExtendOptions(), Path(output)
    if options.replace_unused and RUSSIAN not in options.replace_unused:
        options = options.model_copy(update={"replace_unused": (*options.replace_unused, RUSSIAN)})
    stock = Stock.load(stock_path)
    lexicon = Lexicon.load(lexicon_path)
    if output.exists() and (stock.folder.samefile(output) or lexicon.folder.samefile(output)):
        raise ArtifactError(f"{output}: is what the tokenizer is made from; name another output")
    refuse_foreign(output, KIND)
    check_tokens(stock)
    given_up: list[GivenUp] = []
    symbols: frozenset[str] = frozenset()
    if options.text == "symbols":
        learned = _learn_symbols(stock, lexicon, options, progress)
        units, symbols = learned.units, learned.symbols
        data = extended(stock, units, span="word")
        changed = symbol_pretokenizer(stock, symbol_run_pattern(symbols))
        data = data if changed is None else {**data, "pre_tokenizer": changed}
    else:
        if options.replace_unused:  # before the long work, which it may refuse
            given_up = _unused(stock, lexicon, options.replace_unused)[: options.rows]
            TooFewUnused.check(stock, options.rows, len(given_up))
        units = learn(stock, lexicon, options, progress=progress)
        if given_up:
            data = with_replaced(stock, units, span=options.span, given_up=given_up)
        else:
            data = extended(stock, units, span=options.span)
    ids = [data["model"]["vocab"][token] for token in units.tokens]
    with writing(output, KIND) as folder:
        write_tokenizer(folder, stock, data)
        delta = delta_table(stock, units, ids, lexicon)
        if symbols:
            delta = with_surface(delta, stock, lexicon, symbols)
        delta.write_parquet(folder / DELTA, compression="zstd", statistics=False)
        if symbols:
            pl.DataFrame({"symbol": sorted(symbols)}).write_parquet(folder / SYMBOLS, compression="zstd")
            (folder / "forms.parquet").write_bytes((lexicon.folder / "forms.parquet").read_bytes())
        if given_up:
            given_up_table(given_up).write_parquet(folder / GIVEN_UP, compression="zstd", statistics=False)
        (folder / "concepts.parquet").write_bytes((lexicon.folder / "concepts.parquet").read_bytes())
        facts = _facts(stock, units, given_up)
        added = also(folder, delta, facts["rows"]) if also else Addition({}, {}, {})
        return seal(
            folder,
            KIND,
            parents={"stock": stock.sha256, "lexicon": lexicon.sha256, **added.parents},
            recipe={**options.model_dump(mode="json"), **added.recipe},
            versions={"hypertok": hypertok.__version__},
            facts={**facts, **added.facts},
        )


def learn(stock: Stock, lexicon: Lexicon, options: ExtendOptions, *, progress: Steps | None = None) -> Units:
    """The units that the options ask for, not yet put into the tokenizer.

    Raises:
        InputError: span "phrase" and a pre-tokenizer that hypertok does not know, or there are not so many units.
    """
    if options.span == "phrase":
        phrase_pretokenizer(stock)  # what it refuses it refuses before the long work
    texts = learning_texts(stock, lexicon, options)
    return learn_units(stock, texts, options.rows, every_path=options.units == "concept", progress=progress)


def _learn_symbols(stock: Stock, lexicon: Lexicon, options: ExtendOptions, progress: Steps | None) -> SymbolUnits:
    if options.units == "bpe" or options.replace_unused:
        raise InputError(
            "--text symbols cannot be had with --units bpe or --replace-unused; leave one or the other out"
        )
    symbol_pretokenizer(stock, "")  # what it refuses it refuses before the long work
    tell = progress or silent
    tell("symbols", 0, 1)
    learned = learn_symbol_units(stock, lexicon.concepts, lexicon.forms, lexicon.runs, options.rows, options.span)
    tell("symbols", 1, 1)
    return learned


def learning_texts(stock: Stock, lexicon: Lexicon, options: ExtendOptions) -> Texts:
    """What the units are learned from."""
    apart = lookup_only_words(stock) if options.span == "phrase" else []
    if options.units == "bpe":
        return seen_texts(lexicon.runs, options.span, apart)
    return concept_texts(lexicon, options.span, general=options.general, apart=apart)


def _unused(stock: Stock, lexicon: Lexicon, languages: tuple[str, ...]) -> list[GivenUp]:
    """Tokens that neither the languages nor the runs of the lexicon use."""
    return unused_tokens(stock, languages, keep=used_ids(stock, lexicon.runs["run"].to_list()))


def _facts(stock: Stock, units: Units, given_up: list[GivenUp]) -> dict[str, Any]:
    size = max(stock.vocabulary.values()) + 1
    facts: dict[str, Any] = {"family": stock.family.value, "stock_size": size, "units": len(units.tokens)}
    facts["rows"] = padded(stock.first_free_id + (0 if given_up else len(units.tokens)))
    if given_up:
        return {**facts, "given_up": given_up_by_script(given_up)}
    return {**facts, "first_id": stock.first_free_id}
