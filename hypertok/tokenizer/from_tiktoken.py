"""Make tokenizer.json content from a tiktoken file (ranks only) or from Mistral's tekken.json.

Both list byte strings by rank: of all adjacent pairs, the one whose bytes together have the lowest rank is merged
first, and a piece that is in the list as a whole is taken at once (`ignore_merges`). A tiktoken file says neither how
text is cut into pieces nor what the special tokens are, so only published encodings, told by their hash, are accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypertok.errors import InputError
from hypertok.tokenizer.tokenizer_json import BYTE_CHARACTERS, added_token, content, in_alphabet, merges_by_id, template

_LETTERS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|" + r"%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class _Encoding:
    """What a published encoding adds to its ranks."""

    name: str
    pattern: str  # without possessive quantifiers: Oniguruma, which tokenizers uses, reads them otherwise
    special: Mapping[str, int]
    beginning: str | None = None  # token put before every text
    normalizer: str | None = None


#: Llama 3 names; 3.1 and later gave other names to a few of the reserved ids, in files with the same ranks.
_LLAMA_NAMED = {
    128000: "<|begin_of_text|>",
    128001: "<|end_of_text|>",
    128006: "<|start_header_id|>",
    128007: "<|end_header_id|>",
    128009: "<|eot_id|>",
}
_LLAMA_RESERVED = [number for number in range(128000, 128256) if number not in _LLAMA_NAMED]
_QWEN_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))
#: Published encodings by the SHA-256 of their lines in rank order, which is that of their published file.
_PUBLISHED = {
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": _Encoding(
        "cl100k_base",
        _LETTERS % r"\p{N}{1,3}",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": _Encoding(
        "o200k_base", _CASED, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}
    ),
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186": _Encoding(
        "Qwen",
        _LETTERS % r"\p{N}",
        {token: number for number, token in enumerate(_QWEN_SPECIAL, 151643)},
        normalizer="NFC",
    ),
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": _Encoding(
        "Llama 3",
        _LETTERS % r"\p{N}{1,3}",
        {token: number for number, token in _LLAMA_NAMED.items()}
        | {f"<|reserved_special_token_{place}|>": number for place, number in enumerate(_LLAMA_RESERVED)},
        beginning="<|begin_of_text|>",
    ),
}
#: The special tokens of tekken files up to version 7, which do not list them.
_TEKKEN_SPECIAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)


def convert_tiktoken(path: Path, raw: bytes) -> dict[str, Any]:
    """The content of tokenizer.json for a tiktoken file of a published encoding.

    Raises:
        InputError: broken lines, or ranks of an encoding that hypertok does not know.
    """
    ranks = _ranks(path, raw)
    lines = sorted((rank, token) for token, rank in ranks.items())
    digest = hashlib.sha256(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in lines)).hexdigest()
    encoding = _PUBLISHED.get(digest)
    if encoding is None:
        known = ", ".join(one.name for one in _PUBLISHED.values())
        raise InputError(
            f"{path}: a tiktoken file of {len(ranks)} ranks that is none of {known} (sha256 {digest}); it does not say "
            "its pattern and special tokens: use the tokenizer.json of the model's repository"
        )
    return _content(path, ranks, encoding)


def convert_tekken(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json for the content of a tekken.json.

    Raises:
        InputError: it does not have the fields of a tekken file, or they do not fit together.
    """
    try:
        config = data["config"]
        pattern, offset = str(config["pattern"]), int(config["default_num_special_tokens"])
        size = int(config["default_vocab_size"]) - offset
        ranks = {base64.b64decode(entry["token_bytes"]): int(entry["rank"]) for entry in data["vocab"]}
        listed = data.get("special_tokens")
        special = (
            {token: rank for rank, token in enumerate(_TEKKEN_SPECIAL)}
            if listed is None
            else {str(entry["token_str"]): int(entry["rank"]) for entry in listed}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a tekken file ({error!r}); download tekken.json again") from None
    ranks = {token: rank for token, rank in ranks.items() if rank < size}  # the model has rows for no more
    if sorted(ranks.values()) != list(range(size)):
        raise InputError(f"{path}: vocab does not have the ranks 0 to {size - 1}, each once; download it again")
    if len(set(special.values())) != len(special) or not all(0 <= number < offset for number in special.values()):
        raise InputError(
            f"{path}: special_tokens do not have distinct ranks below {offset}; download tekken.json again"
        )
    taken = set(special.values())
    special |= {f"<SPECIAL_{number}>": number for number in range(offset) if number not in taken}
    beginning = "<s>" if "<s>" in special else None
    return _content(path, ranks, _Encoding("tekken", pattern, special, beginning), offset)


def _ranks(path: Path, raw: bytes) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    owner: dict[int, int] = {}
    for number, line in enumerate(raw.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            encoded, place = line.split()
            token, rank = base64.b64decode(encoded, validate=True), int(place)
        except (ValueError, binascii.Error):
            shown = line[:60].decode("ascii", "backslashreplace")
            raise InputError(
                f"{path}:{number}: expected base64 bytes and a rank, got {shown!r}; download the file again"
            ) from None
        if token in ranks or rank in owner:
            raise InputError(f"{path}:{number}: a second token or rank {rank}; download the file again")
        ranks[token] = rank
        owner[rank] = number
    return ranks


def _content(path: Path, ranks: Mapping[bytes, int], encoding: _Encoding, offset: int = 0) -> dict[str, Any]:
    """tokenizer.json content; ids are ranks plus the offset."""
    vocabulary = {in_alphabet(token): rank + offset for token, rank in ranks.items()}
    missing = next((byte for byte in range(256) if BYTE_CHARACTERS[byte] not in vocabulary), None)
    if missing is not None:
        raise InputError(f"{path}: no token for the byte 0x{missing:02X}; download the file again")
    clash = next((token for token in encoding.special if token in vocabulary), None)
    if clash is not None:
        raise InputError(
            f"{path}: {clash!r} is a special token and an ordinary one, which tokenizer.json cannot say; "
            "use the tokenizer.json of the model's repository"
        )
    merges = merges_by_id(sorted(vocabulary, key=vocabulary.__getitem__), vocabulary)
    special = dict(sorted(encoding.special.items(), key=lambda item: item[1]))
    # Ids of special tokens hold only if they stand in the vocabulary too: tokenizers numbers the others itself.
    vocabulary = dict(sorted((vocabulary | special).items(), key=lambda item: item[1]))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": encoding.pattern}, "behavior": "Isolated", "invert": False}
    return content(
        vocabulary,
        merges,
        [added_token(token, number, special=True) for token, number in special.items()],
        normalizer={"type": encoding.normalizer} if encoding.normalizer else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split, byte_level]},
        post_processor=template([encoding.beginning], [], special) if encoding.beginning else byte_level,
        decoder=byte_level,
        ignore_merges=True,
    )
