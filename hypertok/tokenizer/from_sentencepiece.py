"""Make tokenizer.json content from a sentencepiece BPE model file, with the same ids for every text.

The file is a protocol buffer message; the few fields that matter are read here without its library. What
tokenizer.json cannot say exactly (normalisation tables, removal of spaces, unused pieces) is refused.
Control pieces ("</s>") in the text itself become their ids, as in every tokenizer.json; sentencepiece spells them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypertok.errors import InputError
from hypertok.tokenizer.tokenizer_json import added_token, content, merges_by_id, template

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = range(1, 7)  # numbers of piece types in the file
_MODEL_TYPES = {1: "unigram", 2: "BPE", 3: "word", 4: "char"}
_REMEDY = "use the tokenizer.json of the model's repository"


@dataclass(frozen=True)
class _Piece:
    text: str
    score: float
    kind: int


def convert_sentencepiece(path: Path, raw: bytes, config: Mapping[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json for the bytes of a sentencepiece model.

    Args:
        path: for messages.
        raw: the file.
        config: of tokenizer_config.json; add_bos_token (true if absent) and add_eos_token are honoured.

    Raises:
        InputError: not a sentencepiece model, not of the BPE type, or with options that tokenizer.json cannot say.
    """
    try:
        model = _fields(raw)
        pieces = [_piece(entry) for entry in model.get(1, ())]
        trainer = _fields(model.get(2, [b""])[-1])
        normalizer = _fields(model.get(3, [b""])[-1])
        _check_options(path, trainer, normalizer)
        unknown = pieces[_number(trainer, 40, 0)].text
        ends = [_number(trainer, field, default) for field, default in ((41, 1), (42, 2))]
        before, after = ([pieces[number].text] if 0 <= number < len(pieces) else [] for number in ends)
        fallback, prefix = bool(_number(trainer, 35, 0)), bool(_number(normalizer, 3, 1))
    except (ValueError, IndexError, TypeError, AttributeError, struct.error) as error:
        raise InputError(f"{path}: not a sentencepiece model, or a damaged one ({error}); download it again") from None
    vocabulary = {piece.text: number for number, piece in enumerate(pieces)}
    _check_pieces(path, pieces, vocabulary, fallback)
    symbols = [piece.text for piece in pieces if piece.kind == _USER_DEFINED]
    if not config.get("add_bos_token", True):
        before = []
    if not config.get("add_eos_token", False):
        after = []
    normal = [piece.text for piece in sorted(pieces, key=lambda piece: -piece.score) if piece.kind == _NORMAL]
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    spaces = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    return content(
        vocabulary,
        merges_by_id(normal, vocabulary),  # highest score of the whole first, equal scores by id
        [
            # SentencePiece finds user-defined pieces in normalised text, where the space is "▁" already.
            added_token(piece.text, number, special=piece.kind != _USER_DEFINED, normalized=piece.kind == _USER_DEFINED)
            for number, piece in enumerate(pieces)
            if piece.kind in (_UNKNOWN, _CONTROL, _USER_DEFINED)
        ],
        normalizer=_normalizer(prefix, symbols),
        pre_tokenizer=None,
        post_processor=template(before, after, vocabulary) if before or after else None,
        decoder={"type": "Sequence", "decoders": [spaces, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip]},
        unk_token=unknown,
        byte_fallback=fallback,
    )


def _fields(message: bytes) -> dict[int, list[Any]]:
    """Fields of a protocol buffer message by number: integers, raw 4 or 8 bytes, or bytes.

    Raises:
        ValueError: it is no such message.
    """
    fields: dict[int, list[Any]] = {}
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, place = _varint(message, place)
        else:
            if kind == 2:
                length, place = _varint(message, place)
            elif kind in (1, 5):
                length = 8 if kind == 1 else 4
            else:
                raise ValueError(f"wire type {kind} at byte {place}")
            value = message[place : place + length]
            place += length
            if place > len(message):
                raise ValueError(f"it ends early, at byte {len(message)} of {place} or more")
        fields.setdefault(key >> 3, []).append(value)
    return fields


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(message) and shift < 64:
        byte = message[place]
        value |= (byte & 127) << shift
        place += 1
        shift += 7
        if byte < 128:
            return value, place
    raise ValueError(f"broken number at byte {place}")


def _number(fields: Mapping[int, list[Any]], field: int, default: int) -> int:
    """An int32 or boolean field."""
    value = fields.get(field, [default])[-1]
    if not isinstance(value, int):
        raise ValueError(f"field {field} is no number")
    return value - (1 << 64) if value >= 1 << 63 else value


def _piece(message: bytes) -> _Piece:
    fields = _fields(message)
    (score,) = struct.unpack("<f", fields.get(2, [bytes(4)])[-1])
    return _Piece(fields[1][-1].decode("utf-8") if 1 in fields else "", score, _number(fields, 3, _NORMAL))


def _check_options(path: Path, trainer: Mapping[int, list[Any]], normalizer: Mapping[int, list[Any]]) -> None:
    kind = _number(trainer, 3, 1)
    if kind != 2:
        name = _MODEL_TYPES.get(kind, str(kind))
        raise InputError(f"{path}: a sentencepiece model of type {name}; only type BPE can be extended")
    name = bytes(normalizer.get(1, [b""])[-1]).decode("utf-8", "replace")
    problems = {
        f"normalisation {name!r} with a table": bool(normalizer.get(2, [b""])[-1]),
        "remove_extra_whitespaces": bool(_number(normalizer, 4, 1)),
        "escape_whitespaces off": not _number(normalizer, 5, 1),
        "treat_whitespace_as_suffix": bool(_number(trainer, 24, 0)),
    }
    found = [problem for problem, is_so in problems.items() if is_so]
    if found:
        raise InputError(
            f"{path}: a sentencepiece model with {', '.join(found)}: it changes text in ways that tokenizer.json "
            f"cannot say exactly; {_REMEDY}, or train with --normalization_rule_name=identity "
            "--remove_extra_whitespaces=false"
        )


def _check_pieces(path: Path, pieces: list[_Piece], vocabulary: Mapping[str, int], fallback: bool) -> None:
    for number, piece in enumerate(pieces):
        if not piece.text or vocabulary[piece.text] != number:
            raise InputError(f"{path}: piece {number} is empty or given twice ({piece.text!r}); {_REMEDY}")
        if piece.kind == _UNUSED:
            raise InputError(f"{path}: piece {number} ({piece.text!r}) is of the type unused; {_REMEDY}")
        if piece.kind == _NORMAL and len(piece.text) > 1:
            # A merge may begin with a character that is no piece, but tokenizer.json has no token to begin with.
            lacking = next((character for character in piece.text if character not in vocabulary), None)
            if lacking is not None:
                raise InputError(
                    f"{path}: piece {number} ({piece.text!r}) has {lacking!r}, which is no piece itself; {_REMEDY}"
                )
    for byte in range(256 if fallback else 0):
        if f"<0x{byte:02X}>" not in vocabulary:
            raise InputError(f"{path}: byte fallback without a piece for the byte 0x{byte:02X}; {_REMEDY}")


def _normalizer(prefix: bool, symbols: list[str]) -> dict[str, Any]:
    """What SentencePiece does to text: "▁" before it, if the model says so, and for every space."""
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    if not prefix:
        return spaces
    before: dict[str, Any] = {"type": "Prepend", "prepend": "▁"}
    if symbols:
        # Tokens looked for in normalised text are themselves normalised first, so a plain Prepend would spoil them:
        # this one leaves a text that is such a token alone (there, and only there, SentencePiece still puts "▁").
        alone = "|".join(re.escape(symbol) for symbol in symbols)
        before = {"type": "Replace", "pattern": {"Regex": rf"\A(?=[\s\S])(?!(?:{alone})\z)"}, "content": "▁"}
    return {"type": "Sequence", "normalizers": [before, spaces]}
