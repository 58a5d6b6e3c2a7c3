"""The extended tokenizer in use: text to ids and back, and why a token is what it is.

The ids are those of tokenizer.json. Decoding gives back exactly the text that was encoded, where the library's own
decoder puts a space after special tokens (Llama 2); what the stock tokenizer throws away itself stays lost, because
the ids do not have it: Qwen makes NFC of all text, SentencePiece-style tokenizers read "▁" as a space, and those with
Metaspace drop one space at the beginning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from hypertok.artifact import Manifest, open_checked
from hypertok.codec import marks
from hypertok.errors import ArtifactError, CodecError, InputError
from hypertok.tokenizer.kind import COMMAND, DELTA, KIND, SCHEMA_VERSION, SYMBOLS
from hypertok.tokenizer.stock import Family, Stock

if TYPE_CHECKING:
    import polars as pl

    from hypertok.lexicon.lexicon import Concept
    from hypertok.vocabulary.symbols import SymbolCodec

_TABLES = ("delta.parquet", "concepts.parquet", "tokenizer.json")
_FACTS = ("family", "rows")
_MARKS = range(marks.BLOCK_FIRST, marks.BLOCK_LAST + 1)
#: One concept with its marks, an escaped character, or one character of the text.
_GROUP = re.compile(
    f"{marks.ESCAPE}.|[{marks.CASE_MARKS}]?[^{chr(marks.BLOCK_FIRST)}-{chr(marks.BLOCK_LAST)}]"
    f"[{chr(marks.INFLECTION_FIRST)}-{chr(marks.INFLECTION_LAST)}]?[{marks.VARIANTS}]?|.",
    re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """One token of a text.

    Attributes:
        id: its id.
        text: what it stands for; bytes that are part of a character as "\\xd0".
        is_new: whether it is a new unit, not a stock token.
        start: its first character in the decoded text.
        end: the character after its last one; tokens of one character share that character, and in symbol text a
            mark on its own has none.
    """

    id: int
    text: str
    is_new: bool
    start: int
    end: int


@dataclass(frozen=True)
class Constituent:
    """A stock token of a unit's stock segmentation; `characters` of the unit end in it."""

    id: int
    text: str
    characters: int


@dataclass(frozen=True)
class Explained:
    """Why a token is what it is.

    Attributes:
        written: what was encoded: the word alone, or after a space.
        id: the token's id.
        text: what it stands for; in symbol text the symbols, their marks in words ("肝⟨sing,gent⟩").
        is_new: whether it is a new unit; for a stock token all that follows is empty.
        concepts: the concepts it has to do with.
        inflections: grammemes of its forms, as in OpenCorpora ("sing,gent").
        constituents: the stock tokens it stands for.
        count: how often the corpus it was learned on has it.
        saved: stock tokens that it saved there.
    """

    written: str
    id: int
    text: str
    is_new: bool
    concepts: tuple[Concept, ...] = ()
    inflections: tuple[str, ...] = ()
    constituents: tuple[Constituent, ...] = ()
    count: int | None = None
    saved: int | None = None

    def __str__(self) -> str:
        """One line for people."""
        if not self.is_new:
            return f"{self.id} {self.text!r}: a stock token"
        parts = " + ".join(repr(one.text) for one in self.constituents)
        about = "; ".join(f"{concept.lemma} {concept.pos}" for concept in self.concepts)
        words = [f"{self.id} {self.text!r}: a new unit of {parts}", about, ", ".join(self.inflections)]
        words.append(f"seen {self.count:,} times, {self.saved:,} stock tokens saved")
        return "; ".join(word for word in words if word)


class PlainTokenizer:
    """A tokenizer over text as it is written, stock or extended: ids, the bytes of each, and exactly the text back."""

    def __init__(self, tokenizer: Tokenizer, family: Family) -> None:
        """`tokenizer` must have neither truncation nor padding."""
        self.tokenizer = tokenizer
        self.family = family
        added = tokenizer.get_added_tokens_decoder()
        self._special = {identifier for identifier, token in added.items() if token.special}
        # Those that are found in normalised text do not begin a stretch of text of its own.
        self._cutting = {identifier for identifier, token in added.items() if not token.normalized}
        # bytes_of needs no more of a Stock than the family and the added tokens.
        described = {"added_tokens": [{"content": token.content} for token in added.values()]}
        self._alphabet = Stock(Path("tokenizer.json"), described, family)
        self._bytes: dict[int, bytes] = {}
        cutting = [added[identifier] for identifier in sorted(self._cutting)]
        before = next((token.content for token in cutting if not (token.rstrip or token.single_word)), "")
        self._prefix = self._puts_space_before("")
        self._prefix_again = bool(before) and self._puts_space_before(before)

    @classmethod
    def of(cls, stock: Stock) -> PlainTokenizer:
        """A stock tokenizer."""
        return cls(stock.tokenizer, stock.family)

    def encode_batch(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        """Ids of each text.

        Raises:
            InputError: a text has a lone surrogate, which is no character.
        """
        try:
            found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
        except TypeError:
            for text in texts:
                if lone := re.search("[\ud800-\udfff]", text):
                    raise InputError(
                        f"character {lone.start()} of the text is a lone surrogate U+{ord(lone[0]):04X}, which no "
                        "tokenizer takes; read the file as UTF-8 with errors='replace'"
                    ) from None
            raise
        return [encoding.ids for encoding in found]

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes of text that each id stands for here, without the spaces that the tokenizer itself put in."""
        known = self._bytes
        for identifier in {*ids} - known.keys():
            known[identifier] = self._bytes_of(identifier)
        pieces = [known[identifier] for identifier in ids]
        if self._prefix:
            places = [0]
            if self._prefix_again:
                places += [place for place, before in enumerate(ids, 1) if before in self._cutting]
            for place in places:
                if place < len(pieces) and ids[place] not in self._cutting and pieces[place][:1] == b" ":
                    pieces[place] = pieces[place][1:]
        return pieces

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids; ids without a token give nothing, bytes that are no character U+FFFD."""
        if skip_special_tokens:
            ids = [identifier for identifier in ids if identifier not in self._special]
        return b"".join(self.pieces(ids)).decode("utf-8", "replace")

    def tokens(self, ids: Sequence[int], is_new: Callable[[int], bool] = lambda _: False) -> list[Token]:
        """The tokens of ids with their places in `decode(ids)`."""
        pieces = self.pieces(ids)
        return [
            Token(identifier, shown(piece), is_new(identifier), *span)
            for identifier, piece, span in zip(ids, pieces, _spans(pieces), strict=True)
        ]

    def text_of(self, identifier: int) -> str:
        """What one id stands for inside running text, readable."""
        return shown(self._bytes_of(identifier))

    def _bytes_of(self, identifier: int) -> bytes:
        if identifier < 0:
            raise InputError(f"{identifier} is no token id; ids are 0 and up")
        token = self.tokenizer.id_to_token(identifier)
        return b"" if token is None else self._alphabet.bytes_of(token)

    def _puts_space_before(self, before: str) -> bool:
        """Whether a space is put before text at the beginning, or after a token that cuts the text."""
        ids = self.tokenizer.encode(f"{before}x", add_special_tokens=False).ids
        place = 1 if before else 0
        return len(ids) > place and self._bytes_of(ids[place])[:1] == b" "


class HyperTokenizer:
    """An extended tokenizer made by `hypertok extend`.

    >>> tok = HyperTokenizer.from_pretrained("qwen3-notes")   # doctest: +SKIP
    >>> tok.decode(tok.encode(text)) == text                  # doctest: +SKIP
    True

    This holds for text in NFC, strings of special tokens in it too; what the stock tokenizer itself does not keep
    (see the module) is lost.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Use `HyperTokenizer.from_pretrained`, which checks the files first."""
        self.folder = folder
        self.manifest = manifest
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.plain = PlainTokenizer(tokenizer, Family(manifest.facts["family"]))
        self._symbols = _SymbolText(self._codec(), tokenizer) if manifest.recipe.get("text") == "symbols" else None

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, lexicon: str | Path | None = None) -> HyperTokenizer:
        """Load the folder of an extended tokenizer.

        Args:
            folder: made by `hypertok extend`.
            lexicon: the lexicon it should have been made from, to be sure; it is not needed otherwise.

        Raises:
            ArtifactError: missing, damaged, written by a newer hypertok, or made from another lexicon.
        """
        folder = Path(folder)
        manifest = open_checked(folder, kind=KIND, schema_version=SCHEMA_VERSION, command=COMMAND)
        missing = [name for name in _TABLES if name not in manifest.files]
        missing += [f"facts.{name}" for name in _FACTS if name not in manifest.facts]
        if missing:
            raise ArtifactError(f"{folder}: the manifest has no {missing[0]}; make it again with: {COMMAND}")
        if lexicon is not None:
            from hypertok.lexicon import lexicon as made_of

            given = open_checked(
                Path(lexicon), kind=made_of.KIND, schema_version=made_of.SCHEMA_VERSION, command=made_of.COMMAND
            )
            parent = manifest.parents.get("lexicon", "")
            if given.sha256 != parent:
                raise ArtifactError(
                    f"{lexicon}: a foreign lexicon (sha256 {given.sha256[:12]}…): {folder} was made from "
                    f"{parent[:12]}…; name that one, or make the tokenizer again with: {COMMAND}"
                )
        return cls(folder, manifest)

    @property
    def vocab_size(self) -> int:
        """Number of token ids; they are 0, 1, 2 … without a hole."""
        return int(self.plain.tokenizer.get_vocab_size(with_added_tokens=True))

    @property
    def rows(self) -> int:
        """Rows that a model needs for this tokenizer: at least `vocab_size`, a multiple of 64."""
        return int(self.manifest.facts["rows"])

    @cached_property
    def new_ids(self) -> frozenset[int]:
        """Ids of the new units."""
        return frozenset(self._row_of)

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Ids of a text; with `add_special_tokens` those that the stock tokenizer puts around it (BOS) too.

        Raises:
            InputError: a lone surrogate in the text.
        """
        return self.encode_batch([text], add_special_tokens=add_special_tokens)[0]

    def encode_batch(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        """Ids of each text, on all processors."""
        if self._symbols:
            texts = [self._symbols.encode(text) for text in texts]
        return self.plain.encode_batch(texts, add_special_tokens=add_special_tokens)

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids. Any ids give a text, as a model may say anything: what means nothing becomes U+FFFD."""
        text = self.plain.decode(ids, skip_special_tokens=skip_special_tokens)
        return self._symbols.decode(text) if self._symbols else text

    def decode_batch(self, batch: Sequence[Sequence[int]], *, skip_special_tokens: bool = False) -> list[str]:
        """The text of each sequence of ids."""
        return [self.decode(ids, skip_special_tokens=skip_special_tokens) for ids in batch]

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text with their places in `decode(encode(text))`, which is `text` itself if in NFC."""
        if self._symbols is None:
            return self.plain.tokens(self.encode(text), self.new_ids.__contains__)
        written, places = self._symbols.aligned(text)
        found = []
        for token in self.plain.tokens(self.encode(text), self.new_ids.__contains__):
            start, end = places[token.start], places[token.end]
            whole = start < end and "\\x" not in token.text
            text_of = written[start:end] if whole else spelled(token.text)
            found.append(Token(token.id, text_of, token.is_new, start, end))
        return found

    def explain(self, word: str) -> tuple[Explained, ...]:
        """Why the tokens of a word, alone and after a space, are what they are. Any text is taken."""
        both = ((written, self.tokens(written)) for written in (word, f" {word}"))
        return tuple(self._explained(written, token) for written, tokens in both for token in tokens)

    def constituents(self, identifier: int) -> tuple[Constituent, ...]:
        """The stock tokens that a new unit stands for; none for a stock token."""
        row = self._row_of.get(identifier)
        if row is None:
            return ()
        ids, lengths = self._delta["constituents"][row].to_list(), self._delta["lengths"][row].to_list()
        return tuple(
            Constituent(one, spelled(self.plain.text_of(one)), length) for one, length in zip(ids, lengths, strict=True)
        )

    def _explained(self, written: str, token: Token) -> Explained:
        row, text = self._row_of.get(token.id), token.text
        if self._symbols:
            text = spelled(self.plain.text_of(token.id))
        if row is None:
            return Explained(written, token.id, text, False)
        from hypertok.lexicon.inflections import shipped_inflections

        record, keys = self._delta.row(row, named=True), shipped_inflections().keys
        inflections = [keys[one - 1] if 0 < one <= len(keys) else f"inflection {one}" for one in record["inflections"]]
        return Explained(
            written,
            token.id,
            text,
            True,
            tuple(map(self._concept, record["concepts"])),
            tuple(key for key in inflections if key),
            self.constituents(token.id),
            record["count"],
            record["saved"],
        )

    def _concept(self, number: int) -> Concept:
        from hypertok.codec.marks import apply_case
        from hypertok.lexicon.lexicon import Concept

        if number >= self._concepts.height:
            raise ArtifactError(
                f"{self.folder / 'delta.parquet'}: concept {number} is not in concepts.parquet "
                f"({self._concepts.height} rows); make the tokenizer again with: {COMMAND}"
            )
        row = self._concepts.row(number, named=True)
        lemma = apply_case(row["lemma"], tuple(map(int, row["cases"])))
        return Concept(number, lemma, row["pos"], row["kind"], row["symbol"], row["count"])

    @cached_property
    def _delta(self) -> pl.DataFrame:
        import polars as pl

        return pl.read_parquet(self.folder / DELTA)

    @cached_property
    def _row_of(self) -> dict[int, int]:
        """Row of each new id in the delta."""
        return {identifier: row for row, identifier in enumerate(self._delta["id"])}

    @cached_property
    def _concepts(self) -> pl.DataFrame:
        import polars as pl

        return pl.read_parquet(self.folder / "concepts.parquet")

    def _codec(self) -> SymbolCodec:
        """The codec over the concepts that the tokenizer was made for."""
        import polars as pl

        from hypertok.vocabulary.symbols import restricted_codec

        written = pl.read_parquet(self.folder / SYMBOLS)["symbol"]
        rows = frozenset(written) - {"▁"}  # SentencePiece-style tokenizers read it as a space
        return restricted_codec(self._concepts, pl.read_parquet(self.folder / "forms.parquet"), rows)


class _SymbolText:
    """Text to symbol text and back, around a tokenizer.

    No symbol makes one character with a mark behind it (`lexicon.symbols`), so NFC of symbol text changes only what
    NFC of the text does.
    """

    def __init__(self, codec: SymbolCodec, tokenizer: Tokenizer) -> None:
        self.codec = codec
        # Before the codec and not after it, so that decomposed words are words to it.
        self.composes = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("и\u0306") == "й"

    def _composed(self, text: str) -> str:
        return unicodedata.normalize("NFC", text) if self.composes else text

    def encode(self, text: str) -> str:
        return self.codec.encode(self._composed(text))

    def decode(self, symbols: str) -> str:
        try:
            return self.codec.decode(symbols)
        except CodecError:  # not the codec's own text: take what can be taken
            return "".join(map(self._decode_group, _GROUP.findall(self.codec.open(symbols))))

    def _decode_group(self, group: str) -> str:
        try:
            return self.codec.decode(group)
        except CodecError:
            bare = group.translate(dict.fromkeys(_MARKS))
            lemma = self.codec.decode(bare)
            return lemma if lemma != bare else group.translate(dict.fromkeys(_MARKS, "\ufffd"))

    def aligned(self, text: str) -> tuple[str, list[int]]:
        """The text, and for each place in its symbol text the place in the text."""
        text = self._composed(text)
        symbols = self.codec.encode(text)
        opened = self.codec.open(symbols)
        places = [0]  # in the text, of each place in the symbol text with all its spaces
        for group in _GROUP.findall(opened):
            start, end = places[-1], places[-1] + len(self.codec.decode(group))
            before = group[0] == marks.ESCAPE or group[0] in marks.CASE_MARKS  # stands for nothing by itself
            places += [start] * before + [end] * (len(group) - before)
        found, at = [0], 0
        for character in symbols:
            if at < len(opened) and opened[at] == " " != character:  # a space that is implied goes with what follows
                at += 1
            at += character == opened[at]  # else it says that no space is implied
            found.append(places[at])
        return text, found


def shown(piece: bytes) -> str:
    """Bytes of text, readable: those that are part of a character as "\\xd0"."""
    return piece.decode("utf-8", "backslashreplace")


def spelled(text: str) -> str:
    """Symbol text with its marks in words: «肝⟨sing,gent⟩»."""
    return text if text.isascii() else "".join(map(_mark_name, text))


def _mark_name(character: str) -> str:
    if not marks.BLOCK_FIRST <= ord(character) <= marks.BLOCK_LAST:
        return character
    if character in marks.CASE_MARKS:
        return f"⟨{('lower', 'Title', 'UPPER', 'Title-Each')[marks.CASE_MARKS.index(character)]}⟩"
    if character in marks.VARIANTS:
        return f"⟨variant {marks.variant_id(character)}⟩"
    if ord(character) >= marks.INFLECTION_FIRST:
        from hypertok.lexicon.inflections import shipped_inflections

        keys, number = shipped_inflections().keys, marks.inflection_id(character)
        return f"⟨{keys[number - 1] or 'uninflected' if number <= len(keys) else number}⟩"
    return "⟨escape⟩" if character == marks.ESCAPE else character


def _spans(pieces: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """First character and the one after the last of each piece; a part of a character has that whole character."""
    begun = 0
    for piece in pieces:
        inside = int(bool(piece) and piece[0] & 0xC0 == 0x80)
        start = max(begun - inside, 0)
        begun += sum(byte & 0xC0 != 0x80 for byte in piece)
        yield start, begun
