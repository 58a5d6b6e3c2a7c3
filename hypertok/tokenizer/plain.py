"""A tokenizer over text as it is written: ids, the bytes of each, and exactly the text back.

Where the library's own decoder puts a space after special tokens (Llama 2), decoding here gives back what was encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile, groupby, takewhile
from pathlib import Path

from tokenizers import Tokenizer

from hypertok.errors import InputError
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.tokens import Token


def read_plain(path: Path) -> Tokenizer:
    """A tokenizer.json as `tokenizers` loads it; texts are read whole, whatever the file says of batches.

    Errors of the library are of the class Exception.
    """
    tokenizer = Tokenizer.from_buffer(path.read_bytes())  # the library opens no path that is not UTF-8
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def ids_before(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The ids that a tokenizer itself puts before a text, BOS mostly; not what it puts after it."""
    encoding = tokenizer.encode("x")
    marked = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
    return tuple(one for one, special in takewhile(lambda pair: pair[1], marked))


def refuse_surrogates(texts: Iterable[str]) -> None:
    """See that texts are all characters.

    Raises:
        InputError: one has a lone surrogate.
    """
    for text in texts:
        if lone := re.search("[\ud800-\udfff]", text):
            raise InputError(
                f"character {lone.start()} of the text is a lone surrogate U+{ord(lone[0]):04X}, which no tokenizer "
                "takes; read the file as UTF-8 with errors='replace'"
            )


class PlainTokenizer:
    """A tokenizer over text as it is written, stock or extended: ids, the bytes of each, and exactly the text back."""

    def __init__(self, tokenizer: Tokenizer, family: Family) -> None:
        """`tokenizer` must have neither truncation nor padding."""
        self.tokenizer = tokenizer
        self.family = family
        added = tokenizer.get_added_tokens_decoder()
        self._special = {identifier for identifier, token in added.items() if token.special}
        self._added = added.keys()
        # bytes_of needs no more of a Stock than the family and the added tokens.
        described = {"added_tokens": [{"content": token.content} for token in added.values()]}
        self._alphabet = Stock(Path("tokenizer.json"), described, family)
        self._bytes: dict[int, bytes] = {}
        self._prefix = self._puts_space_before("")
        # A normalizer puts its space after the tokens that it never sees, a pre-tokenizer after all, or neither does.
        self._again: set[int] = set()
        for normalized in (False, True):
            alike = {identifier: token for identifier, token in added.items() if token.normalized is normalized}
            free = (one.content for _, one in sorted(alike.items()) if not (one.rstrip or one.single_word))
            if self._prefix and (before := next(free, "")) and self._puts_space_before(before):
                self._again |= alike.keys()

    @classmethod
    def of(cls, stock: Stock) -> PlainTokenizer:
        """A stock tokenizer."""
        return cls(stock.tokenizer, stock.family)

    def encode_batch(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[list[int]]:
        """Ids of each text.

        Raises:
            InputError: a text has a lone surrogate, which is no character, or it is one text and no sequence of them.
        """
        if isinstance(texts, str):  # a sequence of its characters, too
            raise InputError("a batch is a list of texts, and this is one text; give [text], or call encode")
        try:
            found = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
        except TypeError:
            refuse_surrogates(texts)
            raise
        return [encoding.ids for encoding in found]

    def pieces(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes of text that each id stands for here, without the spaces that the tokenizer itself put in."""
        known = self._bytes
        for identifier in {*ids} - known.keys():
            known[identifier] = self._bytes_of(identifier)
        pieces = [known[identifier] for identifier in ids]
        if self._prefix:
            places = [0, *(place for place, before in enumerate(ids, 1) if before in self._again)]
            for place in places:
                if place < len(pieces) and ids[place] not in self._added and pieces[place][:1] == b" ":
                    pieces[place] = pieces[place][1:]
        return pieces

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids; ids without a token give nothing, bytes that are no character U+FFFD."""
        if skip_special_tokens:
            return "".join(self.parts(ids))
        return b"".join(self.pieces([int(one) for one in ids])).decode("utf-8", "replace")  # a tensor's are no keys

    def parts(self, ids: Sequence[int]) -> list[str]:
        """The texts between special tokens."""
        ids = list(dropwhile(self._special.__contains__, map(int, ids)))  # what follows BOS begins the text
        pieces = zip(ids, self.pieces(ids), strict=True)
        grouped = groupby(pieces, lambda one: one[0] in self._special)
        return [
            b"".join(piece for _, piece in part).decode("utf-8", "replace")
            for left_out, part in grouped
            if not left_out
        ]

    def tokens(self, ids: Sequence[int], is_new: Callable[[int], bool] = lambda _: False) -> list[Token]:
        """The tokens of ids with their places in `decode(ids)`."""
        pieces = self.pieces(ids)
        return [
            Token(identifier, _shown(piece), is_new(identifier), *span)
            for identifier, piece, span in zip(ids, pieces, _spans(pieces), strict=True)
        ]

    def text_of(self, identifier: int) -> str:
        """What one id stands for inside running text, readable."""
        return _shown(self._bytes_of(identifier))

    def _bytes_of(self, identifier: int) -> bytes:
        if not 0 <= identifier < 1 << 32:  # the library's own type
            raise InputError(f"{identifier} is no token id; ids are 0 and up, below 2 to the power of 32")
        token = self.tokenizer.id_to_token(identifier)
        return b"" if token is None else self._alphabet.bytes_of(token)

    def _puts_space_before(self, before: str) -> bool:
        """Whether a space is put before text at the beginning, or after an added token."""
        ids = self.tokenizer.encode(f"{before}x", add_special_tokens=False).ids
        place = 1 if before else 0
        return len(ids) > place and self._bytes_of(ids[place])[:1] == b" "


def _shown(piece: bytes) -> str:
    """Bytes of text, readable: those that are part of a character as "\\xd0"."""
    return piece.decode("utf-8", "backslashreplace")


def _spans(pieces: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """First character and the one after the last of each piece; a part of a character has that whole character."""
    begun = 0
    for piece in pieces:
        inside = int(bool(piece) and piece[0] & 0xC0 == 0x80)
        start = max(begun - inside, 0)
        begun += sum(byte & 0xC0 != 0x80 for byte in piece)
        yield start, begun
