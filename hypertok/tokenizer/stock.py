"""A stock tokenizer as it came: loaded from any supported file, checked, never changed.

Two families of BPE are supported. BYTE_LEVEL writes each byte of the text as one character of a fixed alphabet
("ĠÐ¼Ð¸ÑĤ"); SENTENCEPIECE writes text as it is with "▁" for the space, and single bytes as "<0xE2>".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.from_sentencepiece import convert_sentencepiece
from hypertok.tokenizer.from_tiktoken import BYTE_CHARACTERS, convert_tekken, convert_tiktoken

SUPPORTED = (
    "supported are byte-level BPE (Qwen, Llama 3, GPT-4o, DeepSeek, SmolLM) and SentencePiece-style BPE "
    "(Gemma, Llama 2, Mistral 7B)"
)
#: Texts, and characters of text, encoded at once: their results live together. Measured on Qwen3: 200,000 words take
#: 1.7 s in batches of 4,096, 2.4 s in batches of 16,384; long texts are no faster in batches beyond 1M characters.
BATCH, CHARACTERS = 4_096, 1 << 20

_BYTE_OF = {character: byte for byte, character in enumerate(BYTE_CHARACTERS)}
_ALPHABET = str.maketrans({chr(byte): character for byte, character in enumerate(BYTE_CHARACTERS)})
_BYTE_TOKEN = re.compile("<0x([0-9A-Fa-f]{2})>")
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")


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
            InputError: nothing there, not readable, contradicts itself, or of an unsupported kind.
        """
        path = Path(path)
        file = _find(path) if path.is_dir() else path
        config, model_config = (_side_file(file.parent / name) for name in ("tokenizer_config.json", "config.json"))
        data = _read(file, config)
        return cls(file, data, _checked(file, data), config, model_config)

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
    def merges(self) -> list[tuple[str, str]]:
        """The merges in rank order."""
        pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in self.data["model"]["merges"])
        return [(left, right) for left, right in pairs]

    @cached_property
    def first_free_id(self) -> int:
        """The lowest id beyond all tokens and beyond the rows that the model keeps for them."""
        text_config = self.model_config.get("text_config")
        sizes = [config.get("vocab_size") for config in (self.model_config, text_config) if isinstance(config, Mapping)]
        return max(max(self.vocabulary.values()) + 1, *(size for size in sizes if isinstance(size, int)), 0)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer itself, every token at the id that `data` gives it, without truncation and padding."""
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
        running = self._running
        return [
            encoding.ids
            for batch in _batches(texts)
            for encoding in running.encode_batch_fast(batch, add_special_tokens=False)
        ]

    def bytes_of(self, token: str) -> bytes:
        """The bytes of text that a vocabulary string stands for (UTF-8; part of a character is possible)."""
        if self.family is Family.SENTENCEPIECE:
            byte = _BYTE_TOKEN.fullmatch(token)
            return bytes.fromhex(byte[1]) if byte else token.replace("▁", " ").encode()
        if token in self._added_contents:
            return token.encode()
        try:
            return bytes([_BYTE_OF[character] for character in token])
        except KeyError:  # outside the alphabet: decoders take it as it stands
            return token.encode()

    def alphabet_of(self, text: str) -> str:
        """Text as the vocabulary writes it, before any normalisation: "ĠÐ¼Ð¸ÑĤ" or "▁мит"."""
        if self.family is Family.SENTENCEPIECE:
            return text.replace(" ", "▁")
        return text.encode().decode("latin-1").translate(_ALPHABET)

    @cached_property
    def _added_contents(self) -> frozenset[str]:
        return frozenset(token["content"] for token in self.added)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if len(batch) == BATCH or size >= CHARACTERS:
            yield batch
            batch, size = [], 0
    yield batch


def tokenizer_of(path: Path, data: dict[str, Any]) -> Tokenizer:
    """Build the tokenizer; the library gives an added token outside model.vocab the next free id, so put it in."""
    model = data["model"]
    vocabulary = {**model["vocab"], **{token["content"]: token["id"] for token in data.get("added_tokens") or ()}}
    data = {**data, "model": {**model, "vocab": vocabulary}, "truncation": None, "padding": None}
    try:
        return Tokenizer.from_str(json.dumps(data, ensure_ascii=False))
    except Exception as error:  # the library raises no narrower class
        raise InputError(
            f"{path}: the tokenizers library cannot read it ({error}); download the file again, or update the library"
        ) from None


def _components(part: Any) -> Iterator[dict[str, Any]]:
    """A normaliser or pre-tokenizer, or the parts of a Sequence of them."""
    if isinstance(part, dict):
        yield part
        for inner in (*(part.get("normalizers") or ()), *(part.get("pretokenizers") or ())):
            yield from _components(inner)


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


def _find(folder: Path) -> Path:
    """The tokenizer's file in a folder.

    Raises:
        InputError: there is none, or it is not clear which.
    """
    for name in ("tokenizer.json", "tokenizer.model", "tekken.json"):
        if (folder / name).is_file():
            return folder / name
    files = sorted([*folder.glob("*.tiktoken"), *folder.glob("*.model"), *folder.glob("tekken*.json")])
    if len(files) == 1:
        return files[0]
    if files:
        raise InputError(f"{folder}: several tokenizers ({', '.join(file.name for file in files)}); name one of them")
    if (folder / "vocab.json").is_file() or (folder / "vocab.txt").is_file():
        raise InputError(
            f"{folder}: holds a vocabulary but no tokenizer.json; make one with "
            "transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    raise InputError(
        f"{folder}: no tokenizer here (tokenizer.json, tokenizer.model, tekken.json or *.tiktoken); "
        "download tokenizer.json from the model's repository"
    )


def _read(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json, converted if the file is of another format; the format is told by content."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    if raw.lstrip()[:1] == b"{":
        data = _parsed(path, raw)
        return convert_tekken(path, data) if "vocab" in data and "config" in data else data
    if _TIKTOKEN_LINE.match(raw):
        return convert_tiktoken(path, raw)
    if raw[:1] == b"\n":  # field 1 of the model message: its pieces stand first
        return convert_sentencepiece(path, raw, config)
    raise InputError(
        f"{path}: not a tokenizer that hypertok can read (tokenizer.json, sentencepiece model, tiktoken, tekken.json); "
        "download tokenizer.json from the model's repository"
    )


def _parsed(path: Path, raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 ({error.reason}); download the file again") from None
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}:{error.lineno}: broken JSON ({error.msg}, column {error.colno}); download the file again"
        ) from None
    except RecursionError:
        raise InputError(f"{path}: JSON nested too deep; download the file again") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(data).__name__}; download the file again")
    return data


def _side_file(path: Path) -> dict[str, Any]:
    """A JSON file beside the tokenizer, {} when it is not there."""
    return _parsed(path, path.read_bytes()) if path.is_file() else {}


def _checked(path: Path, data: dict[str, Any]) -> Family:
    """The family of a tokenizer whose parts fit together.

    Raises:
        InputError: unsupported, or it contradicts itself.
    """
    model = data.get("model")
    if not isinstance(model, dict):
        raise InputError(f"{path}: no tokenizer: it has no field model; give the tokenizer.json of the model")
    kind = model.get("type") or ("BPE" if "merges" in model else "unknown")
    if kind != "BPE":
        raise InputError(f"{path}: a {kind} tokenizer cannot be extended; {SUPPORTED}")
    for option in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(option):
            raise InputError(f"{path}: BPE with {option} {model[option]!r} cannot be extended; {SUPPORTED}")
    _check_vocabulary(path, data)
    pre_tokenizers = list(_components(data.get("pre_tokenizer")))
    if any(part.get("type") == "ByteLevel" for part in pre_tokenizers):
        return Family.BYTE_LEVEL
    for part in (*_components(data.get("normalizer")), *pre_tokenizers):
        if part.get("type") == "Metaspace" and part.get("replacement", "▁") == "▁":
            return Family.SENTENCEPIECE
        if part.get("type") == "Replace" and part.get("pattern") == {"String": " "} and part.get("content") == "▁":
            return Family.SENTENCEPIECE
    raise InputError(f"{path}: BPE that is neither byte-level nor writes the space as '▁'; {SUPPORTED}")


def _check_vocabulary(path: Path, data: dict[str, Any]) -> None:
    model = data["model"]
    vocabulary, merges, added = model.get("vocab"), model.get("merges"), data.get("added_tokens") or []
    if not isinstance(vocabulary, dict) or not vocabulary or not isinstance(merges, list):
        raise InputError(f"{path}: model.vocab or model.merges is missing or empty; download the file again")
    token_of: dict[int, str] = {}
    entries = [*vocabulary.items()]
    for number, token in enumerate(added):
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or "id" not in token:
            raise InputError(f"{path}: added_tokens[{number}] has no content or id; download the file again")
        entries.append((token["content"], token["id"]))
    for content, identifier in entries:
        if type(identifier) is not int or identifier < 0:
            raise InputError(f"{path}: token {content!r} has the id {identifier!r}; download the file again")
        if token_of.setdefault(identifier, content) != content:
            other = token_of[identifier]
            raise InputError(f"{path}: id {identifier} is given to {other!r} and to {content!r}; repair the file")
        if vocabulary.get(content, identifier) != identifier:
            raise InputError(
                f"{path}: {content!r} has id {vocabulary[content]} in model.vocab and {identifier} in added_tokens; "
                "repair the file"
            )
    for number, merge in enumerate(merges):
        try:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            if left in vocabulary and right in vocabulary and left + right in vocabulary:
                continue
            lacking = next(token for token in (left, right, left + right) if token not in vocabulary)
        except (ValueError, TypeError):
            raise InputError(
                f"{path}: model.merges[{number}] is no pair of tokens: {merge!r}; download the file again"
            ) from None
        raise InputError(
            f"{path}: model.merges[{number}] ({left!r}, {right!r}) needs the token {lacking!r}, which is not in "
            "model.vocab; download the file again"
        )
