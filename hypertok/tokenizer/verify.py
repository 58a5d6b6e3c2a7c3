"""The proof that an extended tokenizer does what the stock one did, and that every new unit is there, line by line.

Each line says what it found and on how much; a line that found nothing to check fails. A line that needs a package
which is not installed (transformers) or a thing which the stock tokenizer lacks is *skipped*: it is neither passed nor
failed, and it says why. Some lines are exact (ids, merges, the bytes of all new merges); those on texts are trials, and
the exact ones are the reason why they must come out: stock merges are all there, in order, before every new one.

A folder that is not what its manifest says, or of another stock tokenizer or lexicon, is refused before any line.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import AddedToken, Tokenizer

from hypertok.artifact import Manifest, open_checked, read_manifest
from hypertok.errors import ArtifactError, HypertokError
from hypertok.tokenizer.kind import COMMAND, KIND, SCHEMA_VERSION
from hypertok.tokenizer.pretokenizer import crossing_tokens, phrase_pretokenizer
from hypertok.tokenizer.stock import BATCH, CHARACTERS, Family, Stock
from hypertok.tokenizer.verify_texts import (
    CYRILLIC,
    SAMPLES,
    Completions,
    Text,
    carriers,
    file_texts,
    library_texts,
    random_texts,
)

#: Lines that a tokenizer for symbol text does not promise: raw text is not what it reads.
_SURFACE_ONLY = frozenset(
    {"units, in a sentence", "texts: never more tokens than stock", "no merges, changed pre-tokenizer: stock ids"}
)
#: Characters of text, the first ones, that the loaders beside the raw tokenizer are compared on. They run the same
#: tokenizer underneath and differ in its parts, which any text shows; transformers takes 3 s for so many.
COMPARED = 500_000
_SHOWN = 3
_ROW_MULTIPLE = 64
#: Below it no character is a concept symbol but those that the units hold (codec/marks.py).
_SYMBOLS = re.compile("[\u2190-\U0010ffff]")
#: Bytes that occur in UTF-8 as the first of a letter U+0400–U+04FF and nowhere else.
_CYRILLIC_BYTES = re.compile(b"[\xd0-\xd3]")
#: What to try a token without Cyrillic letters between.
_AROUND = ("", "a", "Yes", " ", "1", ")", "\n", "中", " b", ".")
_CHATS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "Что такое цикл Кребса?"),),
    (("user", "Hi"), ("assistant", "Привет, мир!"), ("user", "2 + 2 = ?\n\n你好")),
    (("system", "Отвечай кратко."), ("user", "Кто ты?"), ("assistant", "Модель.")),
)


@dataclass(frozen=True)
class Line:
    """One line of the proof.

    Attributes:
        name: what was to be shown.
        passed: whether it was.
        checked: how much was checked, in `unit`s.
        unit: what is counted ("ids", "texts").
        detail: figures, or the first counterexamples, or why it was skipped.
        skipped: it could not be tried; then `passed` is False, and the line does not count against the report.
    """

    name: str
    passed: bool
    checked: int
    unit: str
    detail: str = ""
    skipped: bool = False


@dataclass(frozen=True)
class Report:
    """All lines of the proof; `folder` is the extended tokenizer and `stock_sha256` the identity of the stock one."""

    folder: str
    stock_sha256: str
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether no line failed and at least one passed."""
        return any(line.passed for line in self.lines) and all(line.passed or line.skipped for line in self.lines)

    def to_json(self) -> str:
        """The report for machines."""
        return json.dumps({"passed": self.passed, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"


class _Tally:
    """Counts what is checked for one line and keeps the first counterexamples."""

    def __init__(self, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self.checked = self.failed = 0
        self.examples: list[str] = []

    def want(self, right: bool, example: Callable[[], str] | str, count: int = 1) -> None:
        self.checked += count
        if not right:
            self.failed += 1
            if len(self.examples) < _SHOWN:
                self.examples.append(example if isinstance(example, str) else example())

    def line(self, detail: str = "") -> Line:
        if self.failed:
            detail = f"{self.failed:,} wrong: " + "; ".join(self.examples)
        elif not self.checked:
            detail = f"nothing to check. {detail}".rstrip()
        return Line(self.name, not self.failed and self.checked > 0, self.checked, self.unit, detail)


@dataclass(frozen=True, eq=False)
class _Pair:
    """The stock tokenizer and the extended one, with what is asked of them again and again."""

    folder: Path
    manifest: Manifest
    stock: Stock
    data: dict[str, Any] = field(repr=False)
    delta: pl.DataFrame = field(repr=False)
    given_up: pl.DataFrame | None = field(repr=False)

    @cached_property
    def span(self) -> str:
        return str(self.manifest.recipe.get("span", "phrase"))

    @cached_property
    def symbols(self) -> bool:
        return self.manifest.recipe.get("text") == "symbols"

    @cached_property
    def units(self) -> dict[str, int]:
        return dict(zip(self.delta["token"].to_list(), self.delta["id"].to_list(), strict=True))

    @cached_property
    def unit_texts(self) -> list[str]:
        return self.delta["text"].drop_nulls().to_list()

    @cached_property
    def freed(self) -> frozenset[int]:
        """Stock ids that units have now."""
        return frozenset() if self.given_up is None else frozenset(self.given_up["id"]) & set(self.delta["id"])

    @cached_property
    def kept(self) -> dict[str, int]:
        """The stock vocabulary without the ids given up."""
        return {token: id_ for token, id_ in self.stock.vocabulary.items() if id_ not in self.freed}

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        return Stock(self.folder, self.data, self.stock.family).merges

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return _plain(Tokenizer.from_file(str(self.folder / "tokenizer.json")))

    @cached_property
    def bare(self) -> Tokenizer:
        """The extended tokenizer without units and their merges: what is left is the changed pre-tokenizer."""
        stock_merges, model = set(self.stock.merges), self.data["model"]
        vocabulary = {token: id_ for token, id_ in model["vocab"].items() if token not in self.units}
        merges = [list(merge) for merge in self.merges if merge in stock_merges]
        data = {**self.data, "model": {**model, "vocab": vocabulary, "merges": merges}}
        return _plain(Tokenizer.from_str(json.dumps(data, ensure_ascii=False)))

    @cached_property
    def untouched(self) -> Callable[[str], bool]:
        """Tells the texts that must be cut exactly as before."""
        if not self.symbols:
            return lambda text: CYRILLIC.search(text) is None
        own = re.compile(f"[{re.escape(''.join({c for text in self.unit_texts for c in text if c > '~'}))}\u2190]")
        return lambda text: not (CYRILLIC.search(text) or own.search(text) or _SYMBOLS.search(text))


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def verify(
    folder: Path | str,
    against: Path | str,
    *,
    texts: Path | None = None,
    lexicon: Path | None = None,
    progress: Callable[[Line], None] | None = None,
) -> Report:
    """Verify an extended tokenizer against the stock one it was made of.

    Args:
        folder: what `hypertok extend` wrote.
        against: the stock tokenizer, a folder or a file.
        texts: more texts to check on, a folder of UTF-8 files or one file, besides those that hypertok has.
        lexicon: the lexicon that the units were learned from, to be checked for being that one.
        progress: told each line as it is finished.

    Raises:
        ArtifactError: the folder is no extended tokenizer or damaged, or was made from another stock tokenizer or
            lexicon.
        InputError: the stock tokenizer or the texts cannot be read.
    """
    folder, lines = Path(folder), []
    pair = _opened(folder, Stock.load(against), lexicon)
    extra = file_texts(texts) if texts else iter(())
    first = next(extra, None)  # a wrong path is told before the work, not after it
    extra = chain(() if first is None else (first,), extra)
    steps: list[tuple[str, Callable[[], Iterable[Line]]]] = [
        ("artefact", lambda: [_artefact(pair, lexicon)]),
        ("delta", lambda: [_delta(pair)]),
        ("tokens given up", lambda: _given_up(pair)),
        ("stock ids", lambda: _raw_ids(pair)),
        ("stock merges and other parts", lambda: [_parts(pair)]),
        ("ids", lambda: [_bijection(pair), _reserved(pair)]),
        ("units", lambda: _reachable(pair)),
        ("AutoTokenizer and texts", lambda: _loaders_and_texts(pair, extra)),
    ]
    for name, step in steps:
        for line in _guarded(name, step):
            if pair.symbols and line.name in _SURFACE_ONLY:
                detail = "not checked: holds for text as written; HyperTokenizer's line is the proof for symbol text"
                line = Line(line.name, False, 0, line.unit, detail, skipped=True)
            lines.append(line)
            if progress:
                progress(line)
    return Report(str(folder), pair.stock.sha256, tuple(lines))


def _guarded(name: str, step: Callable[[], Iterable[Line]]) -> Iterator[Line]:
    """The lines of a step; what it raises is a failed line too (a tokenizer that does not load, a Rust panic)."""
    lines = (line for lazy in (step,) for line in lazy())
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except BaseException as error:
            # A panic of the Rust library is no Exception.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            yield Line(name, False, 0, "", f"{type(error).__name__}: {str(error)[:300]}")
            return
        yield line


def _opened(folder: Path, stock: Stock, lexicon: Path | None) -> _Pair:
    """Read the folder; refuse it when it is damaged or its parents are others."""
    manifest = open_checked(folder, kind=KIND, schema_version=SCHEMA_VERSION, command=COMMAND)
    if manifest.parents.get("stock") != stock.sha256:
        raise ArtifactError(
            f"{folder}: made from another tokenizer than {stock.path} is now (sha256 "
            f"{str(manifest.parents.get('stock'))[:12]}… then, {stock.sha256[:12]}… here); it was changed since, or is "
            f"another one: name the tokenizer it was made from, or make it again with: {COMMAND}"
        )
    if lexicon is not None:
        found = read_manifest(lexicon, kind="lexicon", command="hypertok build-lexicon corpus/ -o notes.lexicon").sha256
        if manifest.parents.get("lexicon") != found:
            raise ArtifactError(
                f"{folder}: made with another lexicon than {lexicon} (sha256 "
                f"{str(manifest.parents.get('lexicon'))[:12]}… then, {found[:12]}… here); name that one, or make the "
                f"tokenizer again with: {COMMAND}"
            )
    try:
        data = json.loads((folder / "tokenizer.json").read_bytes())
        given_up = folder / "given_up.parquet"
        table = pl.read_parquet(given_up) if given_up.is_file() else None
        return _Pair(folder, manifest, stock, data, pl.read_parquet(folder / "delta.parquet"), table)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(f"{folder}: cannot be read ({error}); make it again with: {COMMAND}") from None


def _artefact(pair: _Pair, lexicon: Path | None) -> Line:
    detail = "every file is what the manifest says; made from this stock tokenizer"
    detail += " and this lexicon" if lexicon else "; the lexicon is not checked (none was given)"
    return Line("artefact", True, len(pair.manifest.files), "files", detail)


def _delta(pair: _Pair) -> Line:
    """Each row says of its unit what the vocabulary and the stock tokenizer say."""
    tally, stock, facts = _Tally("delta", "rows"), pair.stock, pair.manifest.facts
    rows = pair.delta.to_dicts()
    ids = [row["id"] for row in rows]
    if pair.given_up is None:
        first = facts.get("first_id", ids[0] if ids else 0)
        tally.want(ids == list(range(first, first + len(ids))), f"ids are not {first}, {first + 1}, …", 0)
    tally.want(len(ids) == facts.get("units", len(ids)), f"{len(ids)} rows, {facts.get('units')} units", 0)
    vocabulary = pair.data["model"]["vocab"]
    known = pair.stock.vocabulary.keys() | {token for token, id_ in vocabulary.items() if id_ < stock.first_free_id}
    for token in vocabulary.keys() - known - pair.units.keys():
        tally.want(False, f"{token!r} is in the vocabulary and not in the delta", 0)
    concepts = pair.folder / "concepts.parquet"
    meanings = pl.scan_parquet(concepts).select(pl.len()).collect().item() if concepts.is_file() else None
    whole = [row["text"] for row in rows if row["text"] is not None]
    cut = dict(zip(whole, stock.segment(whole), strict=True))
    token_of = {id_: token for token, id_ in stock.vocabulary.items()}
    for row in rows:
        wrong = _wrong_row(row, stock, token_of, cut)
        if vocabulary.get(row["token"]) != row["id"]:
            wrong = f"the vocabulary has {vocabulary.get(row['token'])} for its token"
        elif meanings is not None and max(row["concepts"], default=0) >= meanings:
            wrong = "a concept that concepts.parquet does not have"
        tally.want(not wrong, f"id {row['id']} ({_short(row['text'] or row['token'])}): {wrong}")
    return tally.line("ids, strings, stock constituents and their lengths")


def _wrong_row(row: dict[str, Any], stock: Stock, token_of: Mapping[int, str], cut: Mapping[str, list[int]]) -> str:
    """What is wrong with a row of the delta, "" if nothing is."""
    raw, text = stock.bytes_of(row["token"]), row["text"]
    if text != _text(raw):
        return f"its text is {_text(raw)!r}, not {text!r}"
    ids, lengths = row["constituents"], row["lengths"]
    if any(id_ not in token_of for id_ in ids):
        return "a constituent that is no stock token"
    parts = [stock.bytes_of(token_of[id_]) for id_ in ids]
    if b"".join(parts) != raw:
        return f"its constituents make {b''.join(parts)!r}"
    if text is not None and ids != cut[text]:
        return f"the stock tokenizer cuts it into {cut[text]}"
    ends, length = [], 0
    for part in parts:
        length += len(part)
        ends.append(len(raw[:length].decode("utf-8", "ignore")))
    expected = [end - begin for begin, end in zip((0, *ends), ends, strict=False)]
    return "" if lengths == expected else f"lengths {lengths}, not {expected}"


def _given_up(pair: _Pair) -> list[Line]:
    """With --replace-unused: what was given up is of the stock tokenizer, and nothing that all text needs."""
    if pair.given_up is None:
        return []
    tally, added = _Tally("tokens given up", "tokens"), {token["id"] for token in pair.stock.added}
    for row in pair.given_up.to_dicts():
        raw = pair.stock.bytes_of(row["token"])
        right = pair.stock.vocabulary.get(row["token"]) == row["id"] and row["id"] not in added
        tally.want(right and len(raw) > 1 and not raw.isascii(), f"{row['id']} {row['token']!r}")
    return [tally.line("of the stock vocabulary; none of them added, a single byte or ASCII")]


def _raw_ids(pair: _Pair) -> list[Line]:
    # Saving writes what the library holds, after it gave ids to the added tokens anew.
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "tokenizer.json"
        pair.tokenizer.save(str(saved))
        again = Tokenizer.from_file(str(saved))
    added = {token["id"]: token for token in pair.data.get("added_tokens") or ()}
    written = {**pair.data["model"]["vocab"], **{token["content"]: id_ for id_, token in added.items()}}
    lines = [_same_ids(pair, "stock ids in tokenizer.json", written, added)]
    for name, loaded in (("loaded by tokenizers", pair.tokenizer), ("saved and loaded again", again)):
        vocabulary = loaded.get_vocab(with_added_tokens=True)
        lines.append(_same_ids(pair, f"stock ids, {name}", vocabulary, loaded.get_added_tokens_decoder()))
    return lines


Flags = tuple[Any, ...]


def _flags(token: AddedToken | Mapping[str, Any]) -> Flags:
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return tuple(token[name] if isinstance(token, Mapping) else getattr(token, name) for name in names)


def _same_ids(
    pair: _Pair,
    name: str,
    vocabulary: Mapping[str, int],
    added: Mapping[int, Any],
    allowed: Mapping[int, Flags] | None = None,
) -> Line:
    """Every stock token has its id, and every added token its flags (`allowed`: those that the stock's class gives)."""
    tally = _Tally(name, "ids")
    for content, id_ in pair.kept.items():
        found = vocabulary.get(content)
        if found != id_:
            tally.want(False, f"{content!r} has id {found}, not {id_}")
    tally.checked = len(pair.kept)
    for token in pair.stock.added:
        found_flags = _flags(added[token["id"]]) if token["id"] in added else None
        right = found_flags == _flags(token) or (allowed is not None and found_flags == allowed.get(token["id"]))
        if not right:
            tally.want(False, f"added token {token['id']} {token['content']!r} is {found_flags}", 0)
    more = len(added) - len(pair.stock.added)
    if more:
        tally.want(False, f"{more:+} added tokens", 0)
    exempt = f"; {len(pair.freed):,} ids given up are exempt" if pair.given_up is not None else ""
    return tally.line(f"{len(pair.stock.added):,} added tokens with their flags among them{exempt}")


def _parts(pair: _Pair) -> Line:
    """Stock merges first, in their order; nothing else changed but the pre-tokenizer."""
    tally, gone = _Tally("stock merges and other parts", "merges"), pair.stock.vocabulary.keys() - pair.kept.keys()
    expected = [merge for merge in pair.stock.merges if gone.isdisjoint((*merge, "".join(merge)))]
    tally.checked = len(expected)
    wrong = next((n for n, merge in enumerate(expected) if pair.merges[n : n + 1] != [merge]), None)
    if wrong is not None:
        tally.want(False, f"merge {wrong} is {pair.merges[wrong : wrong + 1]}, not {expected[wrong]}", 0)
    known = set(expected)
    again = [merge for merge in pair.merges[len(expected) :] if merge in known]
    tally.want(not again, f"{again[:1]} stands again behind the stock merges, where it ranks", 0)
    new, old = pair.data["model"], pair.stock.data["model"]
    for key in (new.keys() | old.keys()) - {"vocab", "merges"}:
        tally.want(new.get(key) == old.get(key), f"model.{key} is {new.get(key)!r}, not {old.get(key)!r}", 0)
    changes = {"model", "added_tokens"} | ({"pre_tokenizer"} if pair.span == "phrase" or pair.symbols else set())
    for key in (pair.data.keys() | pair.stock.data.keys()) - changes:
        tally.want(pair.data.get(key) == pair.stock.data.get(key), f"{key} was changed", 0)
    return tally.line(f"they rank before all {len(pair.merges) - len(expected):,} new ones; {_pre_tokenizer(pair)}")


def _pre_tokenizer(pair: _Pair) -> str:
    return "pre-tokenizer as it was" if _same_pre_tokenizer(pair) else "pre-tokenizer changed, all else as it was"


def _same_pre_tokenizer(pair: _Pair) -> bool:
    return bool(pair.data.get("pre_tokenizer") == pair.stock.data.get("pre_tokenizer"))


def _bijection(pair: _Pair) -> Line:
    tally, vocabulary = _Tally("ids without holes, one token each", "ids"), pair.data["model"]["vocab"]
    ids = set(vocabulary.values())
    tally.want(len(ids) == len(vocabulary), f"{len(vocabulary)} tokens, {len(ids)} ids", len(vocabulary))
    for hole in sorted(set(range(max(ids) + 1)) - ids)[:_SHOWN]:
        tally.want(False, f"no token has id {hole}", 0)
    loaded = pair.tokenizer.get_vocab(with_added_tokens=True)
    tally.want(loaded == vocabulary, f"loaded it has {len(loaded)} tokens, or other ids", 0)
    return tally.line(f"0 to {max(ids)}")


def _reserved(pair: _Pair) -> Line:
    """Units have no id that is another's: of the stock tokenizer, of the model's spare rows."""
    tally, free = _Tally("reserved rows stay free", "ids"), pair.stock.first_free_id
    for token, id_ in pair.units.items():
        tally.want(id_ >= free or id_ in pair.freed, f"unit {token!r} has id {id_}; the first free one is {free}")
    stock_ids = set(pair.stock.vocabulary.values())
    spare = {t: n for t, n in pair.data["model"]["vocab"].items() if n not in stock_ids and t not in pair.units}
    made = pair.tokenizer.encode_batch_fast([*spare, *(f"а {token} б" for token in spare)], add_special_tokens=False)
    for token, encoding in zip((*spare, *spare), made, strict=True):
        tally.want(spare[token] not in encoding.ids, f"the text {token!r} gives the spare id {spare[token]}", 0)
    rows, size = pair.manifest.facts.get("rows"), len(pair.data["model"]["vocab"])
    if isinstance(rows, int):
        tally.want(rows >= size and rows % _ROW_MULTIPLE == 0, f"{rows} rows are planned for {size} ids", 0)
    return tally.line(f"units from {free if not pair.freed else min(pair.freed)} on; {len(spare):,} spare ids unused")


def _reachable(pair: _Pair) -> list[Line]:
    """The merges make every unit, and there is text around which it comes out."""
    alone, inside = _Tally("units, alone", "units"), _Tally("units, in a sentence", "units")
    data = {**pair.data, "model": {**pair.data["model"], "ignore_merges": False}, "post_processor": None}
    model = Tokenizer.from_str(json.dumps(data, ensure_ascii=False)).model
    for token, id_ in pair.units.items():
        made = [piece.id for piece in model.tokenize(token)]
        alone.want(made == [id_], f"{_short(token)} (id {id_}) falls into {made[:8]}")
    ways, completions = list(carriers(pair.span)), Completions(pair.unit_texts)
    left: dict[int, list[str]] = {}
    for id_, token, text in pair.delta.select("id", "token", "text").iter_rows():
        left[id_] = [text] if text is not None else completions.of(pair.stock.bytes_of(token))
    parts, first = sum(len(texts) != 1 for texts in left.values()), 0
    for number, (before, after) in enumerate(ways):
        tried = [(id_, f"{before}{text}{after}") for id_, texts in left.items() for text in texts]
        made_ids = _encoded(pair.tokenizer, [text for _, text in tried], special=False)
        for (id_, _), ids in zip(tried, made_ids, strict=True):
            if id_ in ids:
                left.pop(id_, None)
        first = len(pair.units) - len(left) if number == 0 else first
        if not left:
            break
    names = {id_: token for token, id_ in pair.units.items()}
    for id_ in names:
        inside.want(id_ not in left, partial("{} (id {}) comes out of no sentence tried".format, names[id_], id_))
    where = "inside a run of words" if pair.span == "phrase" else "after a space or sign, before a sign"
    detail = f"{first:,} right away {where}, the others with other neighbours"
    return [
        alone.line("the merges make each of them of its own string"),
        inside.line(detail + (f"; {parts:,} hold part of a character" if parts else "")),
    ]


def _loaders_and_texts(pair: _Pair, extra: Iterable[Text]) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as place:
        loaders: dict[str, Any] = {}
        yield from _auto_lines(pair, Path(place), loaders)
        yield from _text_lines(pair, extra, loaders)


def _auto_lines(pair: _Pair, place: Path, loaders: dict[str, Any]) -> Iterator[Line]:
    """What transformers makes of the folder, beside the config.json of the stock model if there is one."""
    names = ("stock ids, AutoTokenizer", "stock ids, AutoTokenizer saved and loaded again")
    if find_spec("transformers") is None:
        for name in names:
            yield Line(name, False, 0, "ids", "not checked: transformers is not installed", skipped=True)
        yield _template_files(pair)
        return
    from transformers import AutoTokenizer
    from transformers.utils import logging

    def load(folder: Path) -> Any:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    verbosity = logging.get_verbosity()
    logging.set_verbosity(40)  # errors only
    try:
        ours, saved = place / "ours", place / "saved"
        shutil.copytree(pair.folder, ours)
        saved.mkdir()
        if pair.stock.model_config:
            for folder in (ours, saved):
                shutil.copy(pair.stock.folder / "config.json", folder)
        loaders["AutoTokenizer"] = load(ours)
        loaders["AutoTokenizer"].save_pretrained(saved)
        loaders["AutoTokenizer, saved and loaded again"] = load(saved)
        try:
            before = load(pair.stock.folder) if pair.stock.path.name == "tokenizer.json" else None
        except Exception:  # a class of its own, in code of the folder, which is not run
            before = None
    finally:
        logging.set_verbosity(verbosity)
    allowed = {id_: _flags(token) for id_, token in before.added_tokens_decoder.items()} if before else None
    for name, loaded in zip(names, loaders.values(), strict=True):
        yield _same_ids(pair, name, loaded.get_vocab(), loaded.added_tokens_decoder, allowed)
    yield _template_files(pair) if before is None else _templates(pair, before, list(loaders.values()))


def _template_files(pair: _Pair) -> Line:
    """Without transformers to ask: the settings and the template as they are written."""
    tally, config = _Tally("chat template and special tokens", "settings"), _json(pair.folder / "tokenizer_config.json")
    for key, value in pair.stock.config.items():
        if key == "chat_template" or key.endswith("_token"):
            tally.want(config.get(key) == value, f"{key} is {_short(config.get(key))}")
    for name in ("chat_template.jinja", "special_tokens_map.json"):
        if (pair.stock.folder / name).is_file():
            same = (pair.folder / name).is_file() and (pair.folder / name).read_bytes() == (
                pair.stock.folder / name
            ).read_bytes()
            tally.want(same, f"{name} is not the stock's")
    if not tally.checked:
        return Line(tally.name, False, 0, tally.unit, "not checked: the stock tokenizer names none", skipped=True)
    return tally.line("as written in the files; not rendered: transformers cannot load both")


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


def _templates(pair: _Pair, before: Any, loaded: Sequence[Any]) -> Line:
    tally = _Tally("chat template and special tokens", "settings")
    rendered = 0
    for tokenizer in loaded:
        for name in ("special_tokens_map", "all_special_tokens", "all_special_ids", "chat_template"):
            found, expected = getattr(tokenizer, name), getattr(before, name)
            tally.want(found == expected, f"{name} is {_short(found)}, not {_short(expected)}")
        if find_spec("jinja2") is None or not before.chat_template:
            continue
        for chat in _CHATS:
            for prompt in (False, True):
                expected = _rendered(before, chat, prompt)
                tally.want(_rendered(tokenizer, chat, prompt) == expected, f"chat of {len(chat)} is rendered otherwise")
                rendered += 1
    why = (
        ""
        if rendered
        else "; no template rendered: "
        + ("jinja2 is not installed" if before.chat_template else "the stock tokenizer has none")
    )
    return tally.line(f"{rendered} chats rendered alike{why}" if rendered else f"special tokens alike{why}")


def _rendered(tokenizer: Any, chat: Iterable[tuple[str, str]], prompt: bool) -> str:
    messages = [{"role": role, "content": content} for role, content in chat]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))
    except Exception as error:  # templates refuse chats (no system message) in exceptions of their own
        return f"{type(error).__name__}: {error}"


def _text_lines(pair: _Pair, extra: Iterable[Text], loaders: dict[str, Any]) -> Iterator[Line]:
    """All that is tried on texts, in one pass over them."""
    checks = _TextChecks(pair)
    compared: list[str] = []
    room = COMPARED
    for batch in _batches(_texts(pair, extra)):
        checks.take(batch)
        for text in batch:
            if len(text.content) <= room:
                room -= len(text.content)
                compared.append(text.content)
    yield from checks.lines()
    name = "AutoTokenizer = tokenizers"
    if loaders:
        yield _compared_auto(pair, name, loaders, compared)
    else:
        yield Line(name, False, 0, "texts", "not checked: transformers did not load it", skipped=True)
    yield _compared_hyper(pair, compared)


def _texts(pair: _Pair, extra: Iterable[Text]) -> Iterator[Text]:
    stock = pair.stock
    texts = [text for token in stock.data["model"]["vocab"] if (text := _text(stock.bytes_of(token))) is not None]
    russian = [text for text in texts if CYRILLIC.search(text)]
    special = [token["content"] for token in stock.added]
    yield from (Text("samples", sample) for sample in SAMPLES)
    yield from (Text("samples", " мир ".join(special[at : at + 50])) for at in range(0, len(special), 50))
    yield from random_texts(pair.unit_texts + russian, [*texts, *special * 3])
    yield from library_texts()
    yield from extra


def _batches(texts: Iterable[Text]) -> Iterator[list[Text]]:
    batch: list[Text] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text.content)
        if len(batch) == BATCH or size >= CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _TextChecks:
    """The lines on texts: never more tokens, decoding, other scripts, the pre-tokenizer alone."""

    def __init__(self, pair: _Pair) -> None:
        self.pair = pair
        self.fewer = _Tally("texts: never more tokens than stock", "texts")
        self.decoded = _Tally("texts: decoded as stock does", "texts")
        self.other = _Tally("texts without Cyrillic: the same ids", "texts")
        self.cuts = _Tally("no merges, changed pre-tokenizer: stock ids", "texts")
        self.sources: dict[str, int] = {}
        self.characters = self.exempt = 0
        self.tokens = [0, 0]  # of texts with Cyrillic: stock, ours

    def take(self, batch: Sequence[Text]) -> None:
        """Check a batch of texts."""
        texts = [text.content for text in batch]
        stock, pair = self.pair.stock.tokenizer, self.pair
        before, after, bare = (_encoded(one, texts) for one in (stock, pair.tokenizer, pair.bare))
        # The same ids are the same text, as the lines on ids and parts show; of long files only the others are decoded.
        spoken = [n for n, text in enumerate(batch) if text.source != "library" or before[n] != after[n]]
        ours, theirs = [after[number] for number in spoken], [before[number] for number in spoken]
        for skip in (False, True):
            found = pair.tokenizer.decode_batch(ours, skip_special_tokens=skip)
            expected = stock.decode_batch(theirs, skip_special_tokens=skip)
            for number, one, two in zip(spoken, found, expected, strict=True):
                self.decoded.want(one == two, partial(_short, texts[number]), int(skip))
        for number, text in enumerate(batch):
            self.sources[text.source] = self.sources.get(text.source, 0) + 1
            self.characters += len(text.content)
            self._check(text.content, before[number], after[number], bare[number])

    def _check(self, text: str, before: list[int], after: list[int], bare: list[int]) -> None:
        if self.pair.freed and not self.pair.freed.isdisjoint(before):
            self.exempt += 1
            return
        self.fewer.want(len(after) <= len(before), lambda: f"{len(after)} for {len(before)}: {_short(text)}")
        self.cuts.want(bare == before, lambda: self._where(text, before, bare))
        if self.pair.untouched(text):
            self.other.want(after == before, lambda: self._where(text, before, after))
        else:
            self.tokens[0] += len(before)
            self.tokens[1] += len(after)

    def _where(self, text: str, before: list[int], after: list[int]) -> str:
        at = next((n for n, (one, two) in enumerate(zip(before, after, strict=False)) if one != two), 0)
        offset = self.pair.stock.tokenizer.encode(text).offsets[at][0]
        return f"{before[at : at + 4]} became {after[at : at + 4]} at {_short(text[max(offset - 12, 0) : offset + 24])}"

    def lines(self) -> Iterator[Line]:
        """The lines, when all texts are taken."""
        pair = self.pair
        sources = ", ".join(f"{number:,} {source}" for source, number in self.sources.items())
        saved = 1 - self.tokens[1] / max(self.tokens[0], 1)
        exempt = f"; {self.exempt:,} texts that use tokens given up are exempt" if pair.given_up is not None else ""
        figures = (
            f"{self.characters:,} characters ({sources}); {saved:.1%} fewer tokens where there is Cyrillic{exempt}"
        )
        yield self.fewer.line(figures)
        yield self.decoded.line("with special tokens and without")
        yield self.other.line(self._exact_other() + exempt)
        yield self.cuts.line(_exact_cuts(pair) + exempt)

    def _exact_other(self) -> str:
        """Every new merge makes a token with a Cyrillic letter in it, which no other text has."""
        pair = self.pair
        if pair.symbols:
            return "nor concept symbols, nor any character from U+2190 on"
        stock_merges, byte_level = set(pair.stock.merges), pair.stock.family is Family.BYTE_LEVEL
        number, others = 0, []
        for merge in pair.merges:
            if merge in stock_merges:
                continue
            number += 1
            made = pair.stock.bytes_of("".join(merge))
            if not (_CYRILLIC_BYTES.search(made) if byte_level else CYRILLIC.search(made.decode("utf-8", "ignore"))):
                others.append((merge, _text(made)))
        for merge, text in others:
            # Such a merge does no harm only if the pre-tokenizer cuts its token in all text but runs of words.
            tried = [f"{before}{text}{after}" for before in _AROUND for after in _AROUND]
            ids = [_encoded(one, tried) for one in (pair.stock.tokenizer, pair.tokenizer)]
            self.other.want(text is not None and ids[0] == ids[1], f"the merge {merge} is made in any script", 0)
        return f"proved besides: each of {number:,} new merges makes a token with a Cyrillic letter" + (
            f", but for {len(others)} that other text is cut inside of (tried)" if others else ""
        )


def _exact_cuts(pair: _Pair) -> str:
    if _same_pre_tokenizer(pair):
        return "the pre-tokenizer is the stock's"
    try:
        known = pair.data.get("pre_tokenizer") == phrase_pretokenizer(pair.stock)
    except HypertokError:
        known = False
    if not known:
        return "tried only: the pre-tokenizer is not the one that this version makes"
    crossing = crossing_tokens(pair.stock)
    if crossing:
        return f"{len(crossing):,} stock tokens cross joiners of words; runs leave those joiners out"
    return "proved besides: no stock token reaches over a cut that runs take away"


def _compared_auto(pair: _Pair, name: str, loaders: Mapping[str, Any], texts: Sequence[str]) -> Line:
    tally = _Tally(name, "texts")
    expected = {special: _encoded(pair.tokenizer, texts, special=special) for special in (False, True)}
    for loader, tokenizer in loaders.items():
        for special, ids in expected.items():
            options = {"padding": False, "truncation": False, "return_attention_mask": False, "verbose": False}
            found = tokenizer(list(texts), add_special_tokens=special, **options)["input_ids"]
            for text, one, two in zip(texts, found, ids, strict=True):
                tally.want(one == two, partial("{}: {!r:.60}".format, loader, text), 0)
    tally.checked = len(texts)
    return tally.line("loaded, saved and loaded again; with special tokens around and without")


def _compared_hyper(pair: _Pair, texts: Sequence[str]) -> Line:
    """HyperTokenizer gives the raw ids and their text; on symbol text it gives back the text it was given."""
    tally = _Tally("HyperTokenizer = tokenizers", "texts")
    try:
        from hypertok.tokenizer.hyper import HyperTokenizer
    except ImportError as error:
        return Line(tally.name, False, 0, tally.unit, f"not checked: {error}", skipped=True)
    hyper = HyperTokenizer.from_pretrained(pair.folder)
    if pair.symbols:
        tally.name = "HyperTokenizer gives every text back"
        stock = pair.stock.tokenizer
        plain = stock.decode_batch(_encoded(stock, texts, special=False), skip_special_tokens=False)
        kept = [text for text, back in zip(texts, plain, strict=True) if back == text]  # others are normalised
        for text, back in zip(kept, hyper.decode_batch(hyper.encode_batch(kept)), strict=True):
            tally.want(back == text, partial(_short, text))
        return tally.line("of those that the stock tokenizer gives back")
    ids = _encoded(pair.tokenizer, texts, special=False)
    spoken = pair.tokenizer.decode_batch(ids, skip_special_tokens=False)
    found = hyper.encode_batch(texts)
    backs = hyper.decode_batch(found)
    for text, one, two, back, expected in zip(texts, found, ids, backs, spoken, strict=True):
        # Its own decoder leaves out the spaces that the library's one puts after special tokens.
        tally.want(one == two and back in (text, expected), partial(_short, text))
    return tally.line("ids and decoding")


def _encoded(tokenizer: Tokenizer, texts: Sequence[str], *, special: bool = True) -> list[list[int]]:
    return [
        encoding.ids
        for at in range(0, len(texts), BATCH)
        for encoding in tokenizer.encode_batch_fast(list(texts[at : at + BATCH]), add_special_tokens=special)
    ]


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _short(value: object, length: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[:length]}…"
