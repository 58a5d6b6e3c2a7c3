"""A stock tokenizer as it came: loaded from any supported file, checked, never changed.

Two families of BPE are supported. BYTE_LEVEL writes each byte of the text as one character of a fixed alphabet
("ĠÐ¼Ð¸ÑĤ"); SENTENCEPIECE writes text as it is with "▁" for the space, and single bytes as "<0xE2>".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import to_json
from tokenizers import Tokenizer
from tokenizers.models import Model

from hypertok.errors import InputError
from hypertok.tokenizer.stock_file import (
    SUPPORTED,
    check_merges,
    check_tokenizer,
    find_tokenizer,
    read_side_file,
    read_tokenizer,
    text_config_of,
)
from hypertok.tokenizer.tokenizer_json import in_alphabet, out_of_alphabet

#: Texts, and characters of text, encoded at once: their results live together. Measured on Qwen3: 200,000 words take
#: 1.7 s in batches of 4,096, 2.4 s in batches of 16,384; long texts are no faster in batches beyond 1M characters.
BATCH, CHARACTERS = 4_096, 1 << 20

#: How SentencePiece-style vocabularies write a single byte.
BYTE_TOKEN = re.compile("<0x([0-9A-Fa-f]{2})>")
_Text = TypeVar("_Text", bound=Sized)


class Family(Enum):
    """How a tokenizer writes text in its vocabulary."""

    BYTE_LEVEL = "byte-level"
    SENTENCEPIECE = "sentencepiece"


@dataclass(frozen=True, eq=False)
class Stock:
    """A stock tokenizer.

    Attributes:
        path: the file it was read from.
        data: the content of tokenizer.json (converted, if the file is of another format); not to be changed.
        family: how text is written in the vocabulary.
        config: the content of tokenizer_config.json beside it, {} if there is none.
        model_config: the content of the model's config.json beside it, {} if there is none.
    """

    path: Path
    data: dict[str, Any] = field(repr=False)
    family: Family
    config: dict[str, Any] = field(repr=False, default_factory=dict)
    model_config: dict[str, Any] = field(repr=False, default_factory=dict)

    @classmethod
    def load(cls, path: Path | str) -> Stock:
        """Read a folder with a tokenizer, a tokenizer.json, a sentencepiece model, a tiktoken or tekken file.

        Raises:
            InputError: nothing there, not readable, contradicts itself, or of an unsupported kind. Merges that do not
                fit the vocabulary are found when `tokenizer` is built.
        """
        path = Path(path)
        file = find_tokenizer(path) if path.is_dir() else path
        config, model_config = (read_side_file(file.parent / name) for name in ("tokenizer_config.json", "config.json"))
        data = read_tokenizer(file, config)
        check_tokenizer(file, data)
        return cls(file, data, _family_of(file, data), config, model_config)

    @property
    def folder(self) -> Path:
        """The folder of the tokenizer's file, where its other files lie."""
        return self.path.parent

    @cached_property
    def sha256(self) -> str:
        """Identity of the tokenizer: SHA-256 of the canonical JSON of `data`, in hex."""
        text = json.dumps(self.data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @cached_property
    def added(self) -> list[dict[str, Any]]:
        """The added tokens (special ones and others), each as in tokenizer.json."""
        return list(self.data.get("added_tokens") or ())

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Id of each vocabulary string, added tokens included."""
        return {**self.data["model"]["vocab"], **{token["content"]: token["id"] for token in self.added}}

    @cached_property
    def token_of(self) -> dict[int, str]:
        """The vocabulary string of each id."""
        return {identifier: token for token, identifier in self.vocabulary.items()}

    @cached_property
    def merges(self) -> list[tuple[str, str]]:
        """The merges in rank order.

        Raises:
            InputError: one is no pair of tokens.
        """
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in self.data["model"]["merges"])
        try:
            return [(left, right) for left, right in pairs]
        except (ValueError, TypeError):
            check_merges(self.path, self.data)
            raise

    @cached_property
    def first_free_id(self) -> int:
        """The lowest id beyond all tokens and beyond the rows that the model keeps for them."""
        sizes = [config.get("vocab_size") for config in (self.model_config, text_config_of(self.model_config))]
        return max(max(self.vocabulary.values()) + 1, *(size for size in sizes if isinstance(size, int)), 0)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself, every token at the id that `data` gives it, without truncation and padding.

        Raises:
            InputError: merges do not fit the vocabulary, or the library cannot read it.
        """
        return tokenizer_of(self.path, self.data)

    @cached_property
    def _running(self) -> Tokenizer:
        """The tokenizer for text that does not stand at the beginning: it puts no space before it."""
        changed = dict(self.data)
        changed["normalizer"] = _without_prefix(self.data.get("normalizer"))
        changed["pre_tokenizer"] = _without_prefix(self.data.get("pre_tokenizer"))
        if all(changed[part] == self.data.get(part) for part in ("normalizer", "pre_tokenizer")):
            return self.tokenizer
        return tokenizer_of(self.path, changed)

    def segment(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text as if it stood inside running text: no special tokens put around, no space before.

        The text is still cut by the pre-tokenizer on its own: what stood before it is not known here.
        """
        return encoded(self._running, texts, special=False)

    def bytes_of(self, token: str) -> bytes:
        """The bytes of text that a vocabulary string stands for (UTF-8; part of a character is possible)."""
        if self.family is Family.SENTENCEPIECE:
            byte = BYTE_TOKEN.fullmatch(token)
            return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()
        if token in self._added_contents:
            return token.encode()
        try:
            return out_of_alphabet(token)
        except UnicodeEncodeError:  # outside the alphabet: decoders take it as it stands
            return token.encode()

    def text_of(self, token: str) -> str | None:
        """The text that a vocabulary string stands for, None if it begins or ends inside a character."""
        try:
            return self.bytes_of(token).decode()
        except UnicodeDecodeError:
            return None

    def alphabet_of(self, text: str) -> str:
        """Text as the vocabulary writes it, before any normalisation: "ĠÐ¼Ð¸ÑĤ" or "▁мит"."""
        if self.family is Family.SENTENCEPIECE:
            return text.replace(" ", "▁")
        return in_alphabet(text.encode())

    @cached_property
    def spelled(self) -> dict[str, bytes]:
        """`bytes_of` each token of model.vocab, kept because many ask: on Qwen3 0.2 s each time."""
        return {token: self.bytes_of(token) for token in self.data["model"]["vocab"]}

    @cached_property
    def unmergeable(self) -> frozenset[str]:
        """Tokens that no new merge may take or make: added ones, which text is cut at before it merges, the unknown
        token, which may be any text, and SentencePiece's bytes (<0xD0>), which joined would be text and no bytes.
        """
        model, sentencepiece = self.data["model"], self.family is Family.SENTENCEPIECE
        found = {token for token in model["vocab"] if sentencepiece and BYTE_TOKEN.fullmatch(token)}
        return self._added_contents | found | ({model["unk_token"]} if model.get("unk_token") else set())

    @cached_property
    def _added_contents(self) -> frozenset[str]:
        return frozenset(token["content"] for token in self.added)


def batches(texts: Iterable[_Text]) -> Iterator[list[_Text]]:
    """The texts in their order, at most BATCH in a list; a list that has come to CHARACTERS is full too."""
    batch: list[_Text] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if len(batch) == BATCH or size >= CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def encoded(tokenizer: Tokenizer, texts: Iterable[str], *, special: bool = True) -> list[list[int]]:
    """Ids of each text; `special` puts the tokens around it that the tokenizer puts around a text."""
    return [
        encoding.ids
        for batch in batches(texts)
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=special)
    ]


def tokenizer_of(path: Path, data: dict[str, Any]) -> Tokenizer:
    """Build the tokenizer; the library gives an added token outside model.vocab the next free id, so put it in."""
    model = data["model"]
    vocabulary = {**model["vocab"], **{token["content"]: token["id"] for token in data.get("added_tokens") or ()}}
    data = {**data, "model": {**model, "vocab": vocabulary}, "truncation": None, "padding": None}
    try:
        return built(data)
    except Exception as error:  # the library raises no narrower class
        check_merges(path, data)
        raise InputError(
            f"{path}: the tokenizers library cannot read it ({error}); download the file again, or update the library"
        ) from None


def components(part: Any) -> Iterator[dict[str, Any]]:
    """A normaliser or pre-tokenizer, or the parts of a Sequence of them."""
    if isinstance(part, dict) and part.get("type") == "Sequence":
        for inner in part.get("normalizers") or part.get("pretokenizers") or ():
            yield from components(inner)
    elif isinstance(part, dict):
        yield part


def _without_prefix(part: Any) -> Any:
    """The normaliser or pre-tokenizer without what it puts before the text."""
    if not isinstance(part, dict):
        return part
    kind = part.get("type")
    if kind == "Prepend" or (kind == "Replace" and str(part["pattern"].get("Regex")).startswith(r"\A(?=")):
        return None  # the latter is of our own conversion from sentencepiece
    if kind == "Metaspace":
        return {**{key: part[key] for key in part if key != "add_prefix_space"}, "prepend_scheme": "never"}
    if kind == "ByteLevel":
        return {**part, "add_prefix_space": False}
    for key in ("normalizers", "pretokenizers"):
        if part.get(key):
            inner = [_without_prefix(one) for one in part[key]]
            return {**part, key: [one for one in inner if one is not None]}
    return part


def _family_of(path: Path, data: dict[str, Any]) -> Family:
    """The family of a tokenizer.

    Raises:
        InputError: it is of neither.
    """
    pre_tokenizers = list(components(data.get("pre_tokenizer")))
    if any(part.get("type") == "ByteLevel" for part in pre_tokenizers):
        return Family.BYTE_LEVEL
    for part in (*components(data.get("normalizer")), *pre_tokenizers):
        if part.get("type") == "Metaspace" and part.get("replacement", "▁") == "▁":
            return Family.SENTENCEPIECE
        if part.get("type") == "Replace" and part.get("pattern") == {"String": " "} and part.get("content") == "▁":
            return Family.SENTENCEPIECE
    raise InputError(f"{path}: BPE that is neither byte-level nor writes the space as '▁'; {SUPPORTED}")


def built(data: Mapping[str, Any]) -> Tokenizer:
    """What `tokenizers` makes of the content of a tokenizer.json; its errors are of the class Exception."""
    return Tokenizer.from_buffer(to_json(data))  # a quarter of the time of json.dumps, on Gemma's 0.17 s


def merging_model(tokenizer: Tokenizer, data: Mapping[str, Any]) -> Model:
    """The model that makes tokens by merges alone, of a tokenizer and what it was built from.

    With `ignore_merges` a piece is first looked up whole.
    """
    options = data["model"]
    if options.get("ignore_merges"):
        options = {**options, "ignore_merges": False}
        tokenizer = built({**data, "model": options, "added_tokens": [], "post_processor": None})
    model: Model = tokenizer.model
    return model
