"""The file of a stock tokenizer: found in its folder, read whatever its format, and checked.

What is read has the form of tokenizer.json; other formats are converted to it.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

from hypertok.artifact import own_files
from hypertok.errors import InputError
from hypertok.tokenizer.from_sentencepiece import convert_sentencepiece
from hypertok.tokenizer.from_tiktoken import convert_tekken, convert_tiktoken

SUPPORTED = (
    "supported are byte-level BPE (Qwen, Llama 3, GPT-4o, DeepSeek, SmolLM) and SentencePiece-style BPE "
    "(Gemma, Llama 2, Mistral 7B)"
)
#: Files that every model has: where they lead, when they are links, the model lies.
_ALWAYS = ("config.json", "tokenizer.json")
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]+\r?\n")


def find_tokenizer(folder: Path) -> Path:
    """The tokenizer's file in a folder.

    Raises:
        InputError: there is none, or it is not clear which.
    """
    for name in ("tokenizer.json", "tokenizer.model", "tekken.json"):
        if (folder / name).is_file():
            return folder / name
    files = own_files(folder, "*.tiktoken", "*.model", "tekken*.json")
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


def read_tokenizer(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json, converted if the file is of another format; the format is told by content."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check the name, or download it first "
            "(hf download OWNER/NAME --local-dir FOLDER)"
        ) from None
    if raw.removeprefix(BOM_UTF8).lstrip()[:1] == b"{":
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


def read_side_file(path: Path) -> dict[str, Any]:
    """A JSON file beside the tokenizer, {} when it is not there."""
    return _parsed(path, path.read_bytes()) if path.is_file() else {}


def is_own(path: Path, folder: Path) -> bool:
    """Whether a file is the model folder's own: no link, or one to where the model lies.

    That is inside the folder, in the blobs of a download cache, or beside what its configuration or tokenizer is a link
    to. Another link could lead to any file of this machine, which would be copied into what may be given away.
    """
    if not path.is_file():
        return False
    real, root = path.resolve(), folder.resolve()
    homes = {above / "blobs" for above in root.parents}
    homes |= {one.resolve().parent for name in _ALWAYS if (one := folder / name).is_file()}
    return real.is_relative_to(root) or real.parent in homes


def text_config_of(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a model's config.json that describes the language model; one for images too has it apart."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def check_tokenizer(path: Path, data: dict[str, Any]) -> None:
    """See that it is a BPE tokenizer whose vocabulary and added tokens fit together.

    Merges are not looked at here: half a million take 0.7 s, beside 1.1 s for all else that loading does (Gemma 3).

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


def _check_vocabulary(path: Path, data: dict[str, Any]) -> None:
    model = data["model"]
    vocabulary, added = model.get("vocab"), data.get("added_tokens") or []
    if not isinstance(vocabulary, dict) or not vocabulary or not isinstance(model.get("merges"), list):
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


def check_merges(path: Path, data: dict[str, Any]) -> None:
    """See that every merge is of two tokens of the vocabulary and makes one.

    The tokenizers library checks the same, and does not say where: this is for when it refused.

    Raises:
        InputError: one is not.
    """
    vocabulary = data["model"]["vocab"]
    for number, merge in enumerate(data["model"]["merges"]):
        try:
            left, right = merge.split(" ") if isinstance(merge, str) else merge
            lacking = next((token for token in (left, right, left + right) if token not in vocabulary), None)
        except (ValueError, TypeError):
            raise InputError(
                f"{path}: model.merges[{number}] is no pair of tokens: {merge!r}; download the file again"
            ) from None
        if lacking is not None:
            raise InputError(
                f"{path}: model.merges[{number}] ({left!r}, {right!r}) needs the token {lacking!r}, which is not in "
                "model.vocab; download the file again"
            )
