"""Folders of extended tokenizers whose units are named here: learning them takes `extend` half a minute for each."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from hypertok.artifact import seal
from hypertok.lexicon.lexicon import Lexicon
from hypertok.tokenizer.delta import delta_table
from hypertok.tokenizer.folder import write_tokenizer
from hypertok.tokenizer.kind import DELTA, KIND, SYMBOLS
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.surface import with_surface
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.units import Units

#: Words and runs of the sample sentences that become units in the folders made here.
WRITTEN = (
    " митохондриях", "Цикл", " Кребса", " цикла Кребса", " в Москве", ", что", " печень", " печени", "Печень",
    " оперативной памяти", " кислород", " стекло", " по воскресеньям",
)  # fmt: skip


def units_of(stock: Stock, written: tuple[str, ...]) -> Units:
    """Units for these strings, each made from the left out of its stock tokens."""
    name = stock.token_of
    made: dict[str, tuple[int, ...]] = {}
    merges: dict[tuple[str, str], None] = {}
    for text in sorted(written, key=len):
        parts = stock.segment([text])[0]
        if stock.family is Family.SENTENCEPIECE and len(text) == 1:  # a character is looked up, not merged of bytes
            made |= {text: tuple(parts)} if len(parts) > 1 else {}
            continue
        token = name[parts[0]]
        for number, part in enumerate(parts[1:], 2):
            merges[token, name[part]] = None
            token += name[part]
            if token not in stock.vocabulary:
                made.setdefault(token, tuple(parts[:number]))
    known = set(stock.merges)
    return Units(
        tuple(made), tuple(merge for merge in merges if merge not in known), (7,) * len(made), tuple(made.values())
    )


def extend_by_hand(folder: Path, stock: Stock, lexicon: Lexicon, text: str) -> None:
    """Write the folder of an extended tokenizer, as `extend` does; for text "symbols" 300 symbols are units too."""
    folder.mkdir()
    symbols = lexicon.concepts["symbol"].to_list()[:300] if text == "symbols" else []
    units = units_of(stock, (*WRITTEN, *symbols))
    first = stock.first_free_id
    write_tokenizer(folder, stock, extended(stock, units, span="phrase"))
    delta = delta_table(stock, units, list(range(first, first + len(units.tokens))), lexicon)
    if symbols:
        delta = with_surface(delta, stock, lexicon, frozenset(symbols).intersection(delta["text"]))
    delta.write_parquet(folder / DELTA)
    for table in ("concepts", "forms") if symbols else ("concepts",):
        (folder / f"{table}.parquet").write_bytes((lexicon.folder / f"{table}.parquet").read_bytes())
    if symbols:
        delta.select(symbol="text").filter(pl.col("symbol").is_in(symbols)).write_parquet(folder / SYMBOLS)
    seal(
        folder,
        KIND,
        parents={"stock": stock.sha256, "lexicon": lexicon.sha256},
        recipe={"text": text, "span": "phrase"},
        facts={
            "family": stock.family.value,
            "units": len(units.tokens),
            "first_id": first,
            "rows": -(-(first + len(units.tokens)) // 64) * 64,
        },
    )
