"""What the content of a tokenizer.json of BPE is put together from, and the alphabet of byte-level vocabularies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from hypertok.vocabulary.merges import all_merges


def _byte_characters() -> tuple[str, ...]:
    """The character that stands for each byte in byte-level vocabularies.

    Printable Latin-1 bytes stand for themselves, the others take the code points from 256 on, in byte order.
    """
    itself = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in itself else next(others)) for byte in range(256))


#: Character of each byte 0..255 in the byte-level alphabet.
BYTE_CHARACTERS = _byte_characters()
_ALPHABET = str.maketrans({chr(byte): character for byte, character in enumerate(BYTE_CHARACTERS)})
#: The way back, to Latin-1; characters outside the alphabet have no place there.
_BYTES = str.maketrans(
    {chr(byte): "\uffff" for byte in range(256)}
    | {character: chr(byte) for byte, character in enumerate(BYTE_CHARACTERS)}
)


def in_alphabet(raw: bytes) -> str:
    """Bytes as a byte-level vocabulary writes them: "ĠÐ¼Ð¸ÑĤ"."""
    return raw.decode("latin-1").translate(_ALPHABET)


def out_of_alphabet(token: str) -> bytes:
    """The bytes that a string of a byte-level vocabulary stands for.

    Raises:
        UnicodeEncodeError: it has characters that are not of the alphabet.
    """
    return token.translate(_BYTES).encode("latin-1")


def content(
    vocabulary: Mapping[str, int],
    merges: list[list[str]],
    added: list[dict[str, Any]],
    *,
    normalizer: dict[str, Any] | None,
    pre_tokenizer: dict[str, Any] | None,
    post_processor: dict[str, Any] | None,
    decoder: dict[str, Any],
    unk_token: str | None = None,
    byte_fallback: bool = False,
    ignore_merges: bool = False,
) -> dict[str, Any]:
    """The content of a tokenizer.json, its keys in the order in which the library writes them."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": unk_token is not None,
            "byte_fallback": byte_fallback,
            "ignore_merges": ignore_merges,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def merges_by_id(tokens: Sequence[str], ids: Mapping[str, int]) -> list[list[str]]:
    """Every split of every token in two of the tokens, in their order; those of one by the ids of the parts."""
    of_each = (pairs for _, pairs in groupby(all_merges(tokens, ()), "".join))
    return [list(pair) for pairs in of_each for pair in sorted(pairs, key=lambda pair: (ids[pair[0]], ids[pair[1]]))]


def added_token(content: str, number: int, *, special: bool, normalized: bool = False) -> dict[str, Any]:
    """An entry of added_tokens; `normalized`: it is looked for in the text after normalisation, not before."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized, "special": special}
    return {"id": number, "content": content, **flags}


def template(before: list[str], after: list[str], numbers: Mapping[str, int]) -> dict[str, Any]:
    """A post-processor that puts tokens before and after each text."""

    def around(name: str, kind: int) -> list[dict[str, Any]]:
        def tokens(contents: list[str]) -> list[dict[str, Any]]:
            return [{"SpecialToken": {"id": content, "type_id": kind}} for content in contents]

        return [*tokens(before), {"Sequence": {"id": name, "type_id": kind}}, *tokens(after)]

    return {
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": [*around("A", 0), *around("B", 1)],
        "special_tokens": {
            content: {"id": content, "ids": [numbers[content]], "tokens": [content]} for content in before + after
        },
    }
