"""The GGUF file format: fields and tensors, read without copying the tensors and written in one pass.

Fields are kept as the bytes that stand in the file, so what is not changed is written back as it was. The reader of
the `gguf` package makes several objects per token: 21 s on a file with 262k tokens against 1 s here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from hypertok.errors import InputError

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # version 1 has other lengths; llama.cpp no longer reads it either
DEFAULT_ALIGNMENT = 32
#: struct codes of the number types; 8 is a string, 9 an array.
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        name: as in the file.
        shape: dimensions as in the file, the length of a row first and the number of rows last.
        type: number of the ggml type.
        size: bytes.
        chunks: gives these bytes in order; called once, when they are written.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    size: int
    chunks: Callable[[], Iterable[Any]]


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file holds: `fields` are values by name, each as its type and bytes in the file."""

    path: Path
    version: int
    fields: Mapping[str, bytes]
    tensors: tuple[Tensor, ...]

    def value(self, name: str, default: Any = None) -> Any:
        """A field's value: a number, a string, or a list of them."""
        raw = self.fields.get(name)
        return default if raw is None else _Cursor(raw).value()

    @property
    def alignment(self) -> int:
        """Tensors begin at multiples of this many bytes."""
        return int(self.value("general.alignment", DEFAULT_ALIGNMENT))


def string(text: str) -> bytes:
    """A field with a string."""
    return struct.pack("<I", STRING) + _text(text)


def number(value: int) -> bytes:
    """A field with a number (UINT32)."""
    return struct.pack("<II", UINT32, value)


def strings(items: Sequence[str]) -> bytes:
    """A field with an array of strings."""
    return struct.pack("<IIQ", ARRAY, STRING, len(items)) + b"".join(map(_text, items))


def numbers(kind: int, items: Sequence[float]) -> bytes:
    """A field with an array of numbers of the type `kind`."""
    return struct.pack(f"<IIQ{len(items)}{NUMBERS[kind]}", ARRAY, kind, len(items), *items)


def read_gguf(path: Path) -> GgufFile:
    """Read the fields and find the tensors; the tensors' bytes are read when they are written.

    Raises:
        InputError: not a GGUF file, a version or a type in it that this program does not know, or cut off.
    """
    remedy = "name a GGUF file of the stock model, or download it again"
    try:
        content = np.memmap(path, dtype=np.uint8, mode="r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from None
    except ValueError:
        raise InputError(f"{path}: empty; {remedy}") from None
    cursor = _Cursor(content.data)
    try:
        if bytes(cursor.take(4)) != MAGIC:
            raise InputError(f"{path}: not a GGUF file; {remedy}")
        version, tensor_count, field_count = cursor.unpack("<IQQ")
        if version not in VERSIONS:
            raise InputError(f"{path}: GGUF version {version}, expected one of {VERSIONS}; {remedy}")
        fields = {}
        for _ in range(field_count):
            name, start = cursor.text(), cursor.at
            cursor.skip()
            fields[name] = bytes(cursor.data[start : cursor.at])
        heads = []
        for _ in range(tensor_count):
            name, (dimensions,) = cursor.text(), cursor.unpack("<I")
            heads.append((name, cursor.unpack(f"<{dimensions}Q"), *cursor.unpack("<IQ")))
        file = GgufFile(path, version, fields, ())
        begin = -(-cursor.at // file.alignment) * file.alignment
        tensors = []
        for name, shape, kind, offset in heads:
            size = size_of(shape, kind)
            data = content[begin + offset : begin + offset + size]
            if len(data) != size:
                raise InputError(f"{path}: cut off inside the tensor {name}; {remedy}")
            tensors.append(Tensor(name, shape, kind, size, partial(tuple, (data,))))
    except (struct.error, KeyError, ValueError, MemoryError, ZeroDivisionError, RecursionError) as error:
        raise InputError(f"{path}: damaged near byte {cursor.at} ({error!r}); {remedy}") from None
    return GgufFile(path, version, fields, tuple(tensors))


def size_of(shape: Sequence[int], kind: int) -> int:
    """Bytes of a tensor of the ggml type number `kind`."""
    import gguf

    block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    return prod(shape) // block * block_bytes


def write_gguf(
    file: IO[bytes], fields: Mapping[str, bytes], tensors: Sequence[Tensor], *, version: int, alignment: int
) -> None:
    """Write a GGUF file from its beginning."""
    file.write(MAGIC + struct.pack("<IQQ", version, len(tensors), len(fields)))
    for name, raw in fields.items():
        file.write(_text(name) + raw)
    offset = 0
    for tensor in tensors:
        file.write(_text(tensor.name) + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape))
        file.write(struct.pack("<IQ", tensor.type, offset))
        offset += tensor.size + -tensor.size % alignment
    file.write(bytes(-file.tell() % alignment))
    for tensor in tensors:
        for chunk in tensor.chunks():
            file.write(chunk)
        file.write(bytes(-tensor.size % alignment))


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape")  # a token may be part of a character
    return struct.pack("<Q", len(raw)) + raw


class _Cursor:
    """Reads values one after another."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes | memoryview:
        part = self.data[self.at : self.at + length]
        if len(part) != length:
            raise ValueError("the file ends here")
        self.at += length
        return part

    def unpack(self, code: str) -> tuple[Any, ...]:
        return struct.unpack(code, self.take(struct.calcsize(code)))

    def text(self) -> str:
        return self.texts(1)[0]

    def texts(self, number: int) -> list[str]:
        # Half a million stand in a file; by `unpack` and `take` that takes twice as long.
        data, length_at, found = self.data, struct.Struct("<Q").unpack_from, []
        for _ in range(number):
            begin = self.at + 8
            end = begin + length_at(data, self.at)[0]
            part = data[begin:end]
            if len(part) != end - begin:
                raise ValueError("the file ends here")
            found.append(str(part, "utf-8", "surrogateescape"))
            self.at = end
        return found

    def skip(self, kind: int | None = None) -> None:
        """Go behind a value; that takes a sixth of the time of reading it."""
        if kind is None:
            (kind,) = self.unpack("<I")
        if kind not in (STRING, ARRAY):
            self.take(struct.calcsize(f"<{NUMBERS[kind]}"))
            return
        item, length = (STRING, 1) if kind == STRING else self.unpack("<IQ")
        if item in NUMBERS:
            self.take(length * struct.calcsize(f"<{NUMBERS[item]}"))
        elif item == STRING:
            at, data, length_at = self.at, self.data, struct.Struct("<Q").unpack_from
            for _ in range(length):
                at += 8 + length_at(data, at)[0]
            if at > len(data):
                raise ValueError("the file ends here")
            self.at = at
        else:
            for _ in range(length):
                self.skip(item)

    def value(self, kind: int | None = None) -> Any:
        if kind is None:
            (kind,) = self.unpack("<I")
        if kind == STRING:
            return self.text()
        if kind != ARRAY:
            return self.unpack(f"<{NUMBERS[kind]}")[0]
        item, length = self.unpack("<IQ")
        if item in NUMBERS:
            return list(self.unpack(f"<{length}{NUMBERS[item]}"))
        if item == STRING:
            return self.texts(length)
        return [self.value(item) for _ in range(length)]
