"""The lexicon artefact: load it, look words up, encode and decode text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import polars as pl

from hypertok.archive.container import Packer
from hypertok.archive.statistics import load_statistics
from hypertok.archive.text_coder import ArchiveModel
from hypertok.artifact import MANIFEST, Kind, Manifest, open_checked, read_manifest
from hypertok.codec.codec import Codec
from hypertok.codec.marks import apply_case, case_mark
from hypertok.corpus.words import form_of
from hypertok.errors import ArtifactError, InputError, quoted
from hypertok.lexicon.book import Book
from hypertok.lexicon.inflections import shipped_inflections
from hypertok.lexicon.mark_names import spelled

KIND = Kind("lexicon", 1, "hypertok build-lexicon corpus/ -o notes.lexicon")
TABLES = ("concepts", "forms", "inflections", "sources")
#: Keyboards write it behind a heart and the like, to have it coloured.
_EMOJI = "\ufe0f"


@dataclass(frozen=True)
class Concept:
    """One concept; `count` is how often the corpus meant it, over all forms."""

    id: int
    lemma: str
    pos: str
    kind: str
    symbol: str
    count: int

    @classmethod
    def of(cls, number: int, row: Mapping[str, Any]) -> Self:
        """The concept of a row of concepts.parquet."""
        lemma = apply_case(row["lemma"], tuple(map(int, row["cases"])))
        return cls(number, lemma, row["pos"], row["kind"], row["symbol"], row["count"])


@dataclass(frozen=True)
class Reading:
    """One reading of a form: which concept in which inflection, and how probable (0 to 1) in the corpus."""

    concept: Concept
    inflection: str
    probability: float
    main: bool


@dataclass(frozen=True)
class Form:
    """One form of a concept; `attested` is False when only the paradigm, not the corpus, has it."""

    form: str
    inflection: str
    count: float
    attested: bool


@dataclass(frozen=True)
class Explanation:
    """Everything the lexicon knows about a word: its readings, and all forms of the concept it mainly means.

    `code` is what the codec writes for the form in its usual case, or as it was asked for where no case mark gives that
    («Ростов-на-Дону»); `spelled` is the same with its marks in words: «肝⟨sing,gent⟩».
    """

    form: str
    code: str
    spelled: str
    readings: tuple[Reading, ...]
    forms: tuple[Form, ...]


class Lexicon:
    """A lexicon built by `hypertok build-lexicon`.

    >>> lex = Lexicon.load("notes.lexicon")                     # doctest: +SKIP
    >>> lex.decode(lex.encode("Цикл Кребса")) == "Цикл Кребса"  # doctest: +SKIP
    True
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Use `Lexicon.load`, which checks the files first."""
        self.folder = folder
        self.manifest = manifest
        # Columns: see docs/lexicon-format.md.
        self.concepts = pl.read_parquet(folder / "concepts.parquet", glob=False)
        self.forms = pl.read_parquet(folder / "forms.parquet", glob=False)
        self.book = Book(self.concepts, self.forms)

    @classmethod
    def load(cls, folder: str | Path) -> Lexicon:
        """Load a lexicon folder.

        Raises:
            ArtifactError: missing, damaged, truncated, or written by a newer hypertok.
        """
        folder = Path(folder)
        manifest = checked_manifest(folder)
        missing = [name for name in TABLES if f"{name}.parquet" not in manifest.files]
        if missing:
            raise ArtifactError(f"{folder}: the manifest names no {missing[0]}.parquet; build it again: {KIND.command}")
        return cls(folder, manifest)

    @property
    def sha256(self) -> str:
        """Identity of this lexicon: it covers every byte of its tables."""
        return self.manifest.sha256

    @cached_property
    def sources(self) -> pl.DataFrame:
        """One row per source file: how it was read, what was repaired, why it was skipped."""
        return pl.read_parquet(self.folder / "sources.parquet", glob=False)

    @cached_property
    def runs(self) -> pl.DataFrame:
        """Word sequences of the corpus (columns: see docs/lexicon-format.md), from which units are learned.

        Raises:
            ArtifactError: the lexicon was built without statistics.
        """
        if "runs.parquet" not in self.manifest.files:
            raise ArtifactError(f"{self.folder}: has no runs.parquet; build it again, with statistics: {KIND.command}")
        return pl.read_parquet(self.folder / "runs.parquet", glob=False)

    @cached_property
    def codec(self) -> Codec:
        """The lossless codec over this lexicon."""
        return Codec(self.book)

    @cached_property
    def _concepts_only(self) -> Codec:
        return Codec(self.book, concepts_only=True)

    def encode(self, text: str, *, concepts_only: bool = False) -> str:
        """Symbol text; lossless unless `concepts_only`, which drops inflection and case."""
        return (self._concepts_only if concepts_only else self.codec).encode(text)

    def decode(self, symbols: str) -> str:
        """The text behind symbol text.

        Raises:
            CodecError: not symbol text of this lexicon.
        """
        return self.codec.decode(symbols)

    def concept(self, number: int) -> Concept:
        """The concept with this id.

        Raises:
            InputError: there is none.
        """
        if not 0 <= number < self.concepts.height:
            raise InputError(f"{number}: no such concept; this lexicon has them from 0 to {self.concepts.height - 1}")
        return Concept.of(number, self.concepts.row(number, named=True))

    def explain(self, word: str) -> Explanation:
        """Readings, code and paradigm of a word or phrase in any case, or of a symbol; «елка» finds «ёлка».

        Raises:
            InputError: the lexicon does not know the word.
        """
        number = self.book.concept_of_symbol(word.strip().removesuffix(_EMOJI))
        form, rows = self._find(word.strip()) if number is None else self._base_form(number)
        table = self.forms[rows].sort("probability", "main", descending=True)
        readings = tuple(
            Reading(
                self.concept(row["concept"]),
                self._inflection(row["inflection"]),
                row["probability"],
                row["main"],
            )
            for row in table.iter_rows(named=True)
        )
        main = next((r for r in readings if r.main), readings[0])
        own = self.book.rows_of_concept(main.concept.id)
        forms = tuple(
            Form(row["form"], self._inflection(row["inflection"]), row["count"], row["attested"])
            for row in self.forms[own.start : own.stop].iter_rows(named=True)
        )
        cases, asked = self.book.cases_of(main.concept.id), " ".join(word.split())
        by_itself = asked.lower() == form and case_mark(asked, form, cases) is None
        code = self.encode(asked if by_itself else apply_case(form, cases))
        if number is not None:
            code = main.concept.symbol
        return Explanation(form, code, spelled(code), readings, forms)

    def to_json(self) -> str:
        """All concepts as one JSON object {lemma: symbol}, the most frequent first.

        A lemma that is several concepts has the commonest under its own name, the others as «печь (VERB)»,
        and where that is taken too «роман (NOUN, name)».
        """
        mapping: dict[str, str] = {}
        for lemma, row in self._by_count():
            names = (lemma, f"{lemma} ({row['pos']})", f"{lemma} ({row['pos']}, {row['kind']})")
            mapping[next(name for name in names if name not in mapping)] = row["symbol"]
        return json.dumps(mapping, ensure_ascii=False, indent=0) + "\n"

    def to_tsv(self) -> str:
        """All concepts as tab-separated text with a header: symbol, lemma, pos, kind, count."""
        lines = ["symbol\tlemma\tpos\tkind\tcount"]
        for lemma, row in self._by_count():
            lines.append(f"{row['symbol']}\t{lemma}\t{row['pos']}\t{row['kind']}\t{row['count']}")
        return "\n".join(lines) + "\n"

    def _by_count(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Concepts with their lemma in its usual case, the most frequent first."""
        table = self.concepts.with_row_index("id").sort("count", "id", descending=[True, False])
        for row in table.iter_rows(named=True):
            yield apply_case(row["lemma"], self.book.cases_of(row["id"])), row

    def _base_form(self, concept: int) -> tuple[str, list[int]]:
        """A concept's lemma (or, where it has none, its first form) and that form's rows in this concept."""
        own, lemma = self.book.rows_of_concept(concept), self.concepts["lemma"][concept]
        if not own:
            raise InputError(
                f"{lemma!r} keeps its symbol and has no forms in {self.folder}: it was forbidden since; to have it "
                "back, take it out of the overrides and build again"
            )
        rows = [row for row in own if self.book.forms[row] == lemma] or [own.start]
        return self.book.forms[rows[0]], rows

    def _find(self, word: str) -> tuple[str, list[int]]:
        form = " ".join(map(form_of, word.split()))
        spellings = [form, *(form[:i] + "ё" + form[i + 1 :] for i, c in enumerate(form) if c == "е")]
        for spelling in spellings:
            rows = self.book.rows_of(spelling)
            if rows:
                return spelling, rows
        raise InputError(
            f"{word!r} is not in {self.folder}: the corpus does not have it, or too rarely; see "
            f"`hypertok lexicon info {quoted(self.folder)}`, or add it in an overrides file"
        )

    def _inflection(self, number: int) -> str:
        return shipped_inflections().key_of(number)


def lexicon_manifest(folder: str | Path) -> Manifest:
    """The manifest alone, files unchecked: for figures that need no tables."""
    return read_manifest(Path(folder), KIND)


def checked_manifest(folder: str | Path) -> Manifest:
    """The manifest, every file being what it says.

    Raises:
        ArtifactError: no such lexicon, damaged, or written by another version of hypertok.
    """
    return open_checked(Path(folder), KIND)


def packer_of(folder: str | Path) -> Packer:
    """The archive packer of a lexicon folder; it needs the statistics only, not the tables of words.

    Raises:
        ArtifactError: no such lexicon, damaged, or built without statistics.
    """
    folder = Path(folder)
    manifest = checked_manifest(folder)
    return Packer(ArchiveModel(load_statistics(folder)), manifest.sha256)


def find_lexicon(sha256: str, folders: Iterable[Path]) -> Path:
    """The lexicon whose sha256 begins with `sha256`, looked for right inside `folders`.

    Raises:
        ArtifactError: there is none.
    """
    folders = list(folders)
    for folder in folders:
        for path in sorted(folder.glob(f"*/{MANIFEST}")):
            try:
                if lexicon_manifest(path.parent).sha256.startswith(sha256):
                    return path.parent
            except ArtifactError:  # some other program's manifest.json
                continue
    places = " or ".join(str(folder) for folder in dict.fromkeys(f.resolve() for f in folders))
    raise ArtifactError(
        f"the lexicon {sha256}… that this archive was packed with is not in {places}; name it with --lexicon"
    )
