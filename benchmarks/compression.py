"""Characters per token on held-out Russian, for growing numbers of new rows: stock, control, ours, whole forms.

Learns on the training split only. Every point is measured with the real extended tokenizer and goes to
compression.csv at once, so a stopped run goes on where it was, with the same lexicon and version alone (which does not
tell commits apart: move the committed table away first); compression_report.py makes tables and a picture of it.
Needs HYPERTOK_SHARED (corpora), `make tokenizers`, and a lexicon of the training split:

    python benchmarks/compression.py train.lexicon
    python benchmarks/compression.py tech.lexicon --own tech/ --tokenizers qwen3 --arms "control phrase" "ours phrase"
    python benchmarks/compression_report.py
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import CORPORA, DATA, TOKENIZERS

import hypertok
from hypertok.corpus.documents import read_documents
from hypertok.corpus.words import WORD
from hypertok.errors import InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.measure.tokens import count_tokens
from hypertok.tokenizer.extend import ExtendOptions, learn
from hypertok.tokenizer.pretokenizer import symbol_pretokenizer
from hypertok.tokenizer.stock import Family, Stock, tokenizer_of
from hypertok.tokenizer.surgery import extended
from hypertok.vocabulary.symbol_codec import restricted_codec, symbol_run_pattern
from hypertok.vocabulary.symbols import SymbolUnits, learn_symbol_units
from hypertok.vocabulary.texts import word_table
from hypertok.vocabulary.units import Units

HERE = Path(__file__).resolve().parent
CSV = HERE / "compression.csv"
ROWS = (4_000, 8_000, 16_000, 32_000, 43_000, 64_000, 128_000, 250_000)
NAMES = {"qwen3": "Qwen3", "gemma3": "Gemma-3", "llama3_1": "Llama-3.1", "gpt4o": "GPT-4o"}
ARMS = {
    "control word": ExtendOptions(span="word", units="bpe"),
    "control phrase": ExtendOptions(span="phrase", units="bpe"),
    "ours word": ExtendOptions(span="word"),
    "ours phrase": ExtendOptions(span="phrase"),
    "ours phrase, general 0.3": ExtendOptions(span="phrase", general=0.3),
}
FORMS, SYMBOLS, OWN = "whole forms", "symbols", "own archive"


@dataclass(frozen=True)
class Row:
    """What one line of compression.csv measures."""

    tokenizer: str
    arm: str
    rows: int
    text: str
    characters: int
    tokens: int
    characters_per_token: float
    tokens_per_word: float
    whole_words: float | None
    rows_emitted: float


@dataclass(frozen=True)
class Origin:
    """What made a line of compression.csv."""

    lexicon: str
    hypertok: str


COLUMNS = [*Row.__dataclass_fields__, *Origin.__dataclass_fields__]


def texts() -> dict[str, list[str]]:
    """The texts measured on, by name."""
    found: dict[str, list[str]] = {"literature": [], "technical": []}
    with (CORPORA / "splits.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["split"] == "valid" and row["domain"] != "gold_lemma":
                text = (CORPORA / row["path"]).read_text(encoding="utf-8", errors="replace")
                found["technical" if row["domain"] == "tech_md" else "literature"].append(text)
    for name in ("gsd", "taiga"):
        lines = (CORPORA / f"ud_{name}" / f"ru_{name}-ud-dev.conllu").read_text(encoding="utf-8").split("\n")
        found[f"UD {name.title() if name == 'taiga' else 'GSD'}"] = [x[9:] for x in lines if x.startswith("# text = ")]
    pairs = (DATA / "rublimp" / "pairs_valid.jsonl").read_text(encoding="utf-8").splitlines()
    found["RuBLiMP"] = [json.loads(line)["chosen"] for line in pairs]
    return found


def name_of(stock: Stock) -> str:
    """What the tokenizer is called in the CSV: a key of NAMES."""
    return stock.path.parent.parent.name.removeprefix("tokenizer-")


def measured(
    stock: Stock, arm: str, units: Units | None, options: ExtendOptions, sets: dict[str, list[str]]
) -> Iterator[Row]:
    """The stock tokenizer, or one extended by `units`, on every text."""
    size = len(units.tokens) if units else 0
    data = extended(stock, units, span=options.span) if units else stock.data
    tokenizer = tokenizer_of(stock.path, data)
    for name, found_texts in sets.items():
        counts = count_tokens(tokenizer, found_texts, stock.first_free_id)
        yield Row(
            name_of(stock), arm, size, name, counts.characters, counts.tokens,
            round(counts.characters_per_token, 4), round(counts.tokens_per_word, 4),
            round(counts.whole_words / counts.words, 4), round(counts.emitted / size, 4) if size else 0.0,
        )  # fmt: skip


def whole_forms(stock: Stock, lexicon: Lexicon, numbers: list[int], sets: dict[str, list[str]]) -> Iterator[Row]:
    """The most frequent words as they are, one row each, nothing else: by arithmetic, the fewest tokens possible."""
    words = word_table(lexicon.runs).sort("count", "run", descending=[True, False])["run"].to_list()
    saving = {word: len(ids) - 1 for word, ids in zip(words, stock.segment(words), strict=True)}
    costly = [word for word in words if saving[word]]  # a word that is one token already takes no row
    rank = {word: place for place, word in enumerate(costly)}
    for name, found_texts in sets.items():
        stock_counts = count_tokens(stock.tokenizer, found_texts)
        uses: Counter[str] = Counter()
        for text in found_texts:
            for match in WORD.finditer(text):
                space = " " if match.start() and text[match.start() - 1] == " " else ""
                uses[space + match[0]] += 1
        for rows in numbers:
            if rows > len(costly):
                continue
            saved = sum(number * saving[word] for word, number in uses.items() if rank.get(word, rows) < rows)
            emitted = sum(rank.get(word, rows) < rows for word in uses)
            tokens = stock_counts.tokens - saved
            whole = sum(n for word, n in uses.items() if rank.get(word, rows) < rows or saving.get(word) == 0)
            yield Row(
                name_of(stock), FORMS, rows, name,
                stock_counts.characters, tokens, round(stock_counts.characters / tokens, 4),
                round(tokens / stock_counts.words, 4), round(whole / stock_counts.words, 4), round(emitted / rows, 4),
            )  # fmt: skip


def symbols(stock: Stock, lexicon: Lexicon, rows: list[int], sets: dict[str, list[str]]) -> Iterator[list[Row]]:
    """The codec's symbol text; characters are those of the text it was made from. One list for each number of rows."""
    learned: SymbolUnits | None = None
    tables = lexicon.concepts, lexicon.forms
    for number in sorted(rows, reverse=True):
        # SentencePiece style gives a share of the rows to single symbols first, so there each number is learned anew.
        if learned is None or stock.family is Family.SENTENCEPIECE:
            try:
                learned = learn_symbol_units(stock, *tables, lexicon.runs, number, "phrase")
            except InputError as error:
                print(error, flush=True)
                continue
            codec = restricted_codec(*tables, learned.symbols)
            coded = {name: [codec.encode(text) for text in found_texts] for name, found_texts in sets.items()}
            pre_tokenizer = symbol_pretokenizer(stock, symbol_run_pattern(learned.symbols))
        data = extended(stock, learned.units.first(number), span="word")
        data = data if pre_tokenizer is None else {**data, "pre_tokenizer": pre_tokenizer}
        tokenizer = tokenizer_of(stock.path, data)
        found = []
        for name, found_texts in coded.items():
            seen: Counter[int] = Counter()
            for encoding in tokenizer.encode_batch_fast(found_texts, add_special_tokens=False):
                seen.update(encoding.ids)
            characters, tokens = sum(map(len, sets[name])), seen.total()
            words = sum(len(WORD.findall(text)) for text in sets[name])
            emitted = sum(identifier >= stock.first_free_id for identifier in seen)
            found.append(
                Row(
                    name_of(stock), SYMBOLS, number, name, characters, tokens,
                    round(characters / tokens, 4), round(tokens / words, 4), None, round(emitted / number, 4),
                )
            )  # fmt: skip
        yield found


def done(text: str, origin: Origin) -> set[tuple[str, str, int]]:
    """What the CSV holds already for a text; it must come from the same lexicon and version."""
    if not CSV.exists():
        return set()
    with CSV.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        lines = [line for line in reader if line["text"] == text]
    others = {(line.get("lexicon"), line.get("hypertok")) for line in lines} - {(origin.lexicon, origin.hypertok)}
    if reader.fieldnames != COLUMNS or others:
        made = f"another lexicon or version than {origin.lexicon[:12]} and {origin.hypertok}, or does not tell"
        raise SystemExit(f"{CSV}: made by {made}; move it away to measure anew")
    return {(line["tokenizer"], line["arm"], int(line["rows"])) for line in lines}


def write(rows: list[Row], origin: Origin) -> None:
    """Append rows, all of one point together."""
    new = not CSV.exists()
    with CSV.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS)
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) | asdict(origin) for row in rows)


def run(names: list[str], arms: list[str], numbers: list[int], lexicon: Lexicon, sets: dict[str, list[str]]) -> None:
    """Measure what the CSV lacks."""
    first, origin = next(iter(sets)), Origin(lexicon.sha256, hypertok.__version__)
    for name in names:
        stock = Stock.load(TOKENIZERS / f"tokenizer-{name}" / "models")
        have = done(first, origin)
        if (name, "stock", 0) not in have:
            write(list(measured(stock, "stock", None, ExtendOptions(), sets)), origin)
        if FORMS in arms and (missing := [rows for rows in numbers if (name, FORMS, rows) not in have]):
            write(list(whole_forms(stock, lexicon, missing, sets)), origin)
        if SYMBOLS in arms and (missing := [rows for rows in numbers if (name, SYMBOLS, rows) not in have]):
            for point in symbols(stock, lexicon, missing, sets):
                write(point, origin)
        for arm, options in ARMS.items():
            missing = [rows for rows in numbers if (name, arm, rows) not in have]
            if arm not in arms or not missing:
                continue
            start = time.perf_counter()
            units = learned_most(stock, lexicon, options, missing)
            if units is None:
                continue
            print(
                f"{name}, {arm}: {len(units.tokens):,} rows learned in {time.perf_counter() - start:.0f} s", flush=True
            )
            for rows in missing:
                if rows <= len(units.tokens):
                    write(list(measured(stock, arm, units.first(rows), options, sets)), origin)


def learned_most(stock: Stock, lexicon: Lexicon, options: ExtendOptions, rows: list[int]) -> Units | None:
    """Units for the largest number of rows that the lexicon's corpus has units for, if for any."""
    for number in sorted(rows, reverse=True):
        try:
            return learn(stock, lexicon, options.model_copy(update={"rows": number}))
        except InputError as error:
            print(error, flush=True)
    return None


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lexicon", type=Path, help="lexicon of the training split, or of the --own texts")
    parser.add_argument("--tokenizers", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--arms", nargs="+", default=[FORMS, *ARMS, SYMBOLS], choices=[FORMS, *ARMS, SYMBOLS])
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS))
    parser.add_argument("--own", type=Path, help="measure on the texts that the lexicon was built from, as OWN")
    wanted = parser.parse_args()
    sets = {OWN: [one.text for one in read_documents(wanted.own)]} if wanted.own else texts()
    run(wanted.tokenizers, wanted.arms, wanted.rows, Lexicon.load(wanted.lexicon), sets)


if __name__ == "__main__":
    main()
