"""The pre-tokenizer for units of several words: a run of Russian words becomes one piece, all else stays as it was.

The run pattern stands before the stock pattern in one alternation. That changes no ids as long as no new merge is
there, because (1) where a run matches, the stock pattern would have matched its first word, with the same character
before it, and then each joiner and word in turn, so that a run ends where the stock pattern ends a piece; and (2) no
stock token reaches over a cut that the run takes away (`crossing_tokens`, by exhaustion) and no word needs to be
looked up whole (`lookup_only_words` are kept out of runs). Where a word touches letters, marks, digits or an
apostrophe, it is left to the stock pattern. The pattern has plain greedy constructs only, which other engines than
Oniguruma (transformers.js) know too; time is linear because the words and the letters in them are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from tokenizers import Tokenizer

from hypertok.corpus.elements import SIMPLE_WORD, WORD_END
from hypertok.errors import InputError
from hypertok.tokenizer.stock import Family, Stock, built, merging_model

#: Words in a run at most. Speed does not depend on it (6 MB of real text with Qwen3, GPT-4o, DeepSeek and Llama 3.1:
#: 1.1–1.7 MB/s with 1, 2, 4 … 64 words, without a limit and with the stock pattern alike, differences are noise). But
#: without a limit Oniguruma gives up on a megabyte of short words with Llama 3.1's list of words to leave out
#: ("retry-limit-in-match over", a panic), and every cut of a long run hides the units that lie across it. The letters
#: of a `SIMPLE_WORD` are limited for the same reason; longer words are left to the stock pattern.
_WORDS_IN_RUN = 32

#: The pattern inside `ByteLevel` with use_regex.
GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LEFT = re.compile(
    r"""(?:^|\|)(?:
        (?P<other>\[\^\\r\\n\\p\{L\}\\p\{N\}\]\?)\+?(?:\\p\{L\}|\[\\p\{L\}\\p\{M\}\]|\[\\p\{Lu\})
        | (?P<deepseek>\[\^\r\n\\p\{L\}\\p\{P\}\\p\{S\}\]\?)\[\\p\{L\}\\p\{M\}\]\+
        | (?P<space>\ \?)\\p\{L\}\+
    )""",
    re.VERBOSE,
)
#: What may stand before the first word of a run, by the kind of the stock pattern. Marks are left to the stock pattern:
#: GPT-4o's own pattern takes a mark before capitals alone.
_LEFT_OF = {
    "other": r"[^\r\n\p{L}\p{M}\p{N}]?",
    "deepseek": r"[^\r\n\p{L}\p{M}\p{N}\p{P}\p{S}]?",
    "space": " ?",
}
_PUNCTUATION = ",;:"
_DASHES = "—–-"
_PROBE = "Мама мыла"
#: Words and what stands between them, to try a pre-tokenizer on; a mark, a digit, an apostrophe touch some.
_WORDS = ("мама", "Мыла", "ЭВМ", "мАМа", "їхав", "mama", "маmа", "мама́", "1мама", "мама'", "")
_JOINS = (" ", "-", ", ", " — ", " - ", "  ", "\n", ".", "\u00a0", "́", "(", "。", "\0", "’", "_")
#: The two characters around a cut that a run may take away.
_OPENED = re.compile("[А-Яа-яЁё][ ,;:-]|[,;:—–-] |-[А-Яа-яЁё]")
_REMEDY = "use --span word on text as it is written, which needs no change"


def phrase_pretokenizer(stock: Stock) -> dict[str, Any] | None:
    """The changed `pre_tokenizer` of tokenizer.json under which a run of Russian words is one piece.

    Returns:
        None when nothing need change: a SentencePiece-style tokenizer takes all text as one piece.

    Raises:
        InputError: a pre-tokenizer that hypertok does not know, or that turns out not to keep its cuts.
    """
    if stock.family is Family.SENTENCEPIECE:
        _check_one_piece(stock)
        return None
    parts, place, kind = _words_split(stock)
    changed = _with_run(parts, place, _run(stock, kind))
    _check_cuts(stock, changed)
    return changed


def symbol_pretokenizer(stock: Stock, run: str) -> dict[str, Any] | None:
    """The changed `pre_tokenizer` for symbol text: what the expression `run` matches is one piece.

    Returns:
        None when nothing need change, as for `phrase_pretokenizer`.

    Raises:
        InputError: a pre-tokenizer that hypertok does not know.
    """
    if stock.family is Family.SENTENCEPIECE:
        _check_one_piece(stock)
        return None
    parts, place, _ = _words_split(stock)
    # Before every pattern: an earlier one may cut symbols out (DeepSeek's of Chinese characters), and each later one
    # looks at all pieces again.
    for before in range(place):
        if _pattern(parts[before]):
            parts = _with_run(parts, before, run)["pretokenizers"]
    return _with_run(parts, place, run)


def _words_split(stock: Stock) -> tuple[list[dict[str, Any]], int, str]:
    """The parts of the pre-tokenizer, the place of the Split that cuts words, and the kind of its pattern."""
    parts = _parts(stock)
    for place in reversed(range(len(parts))):
        found = _LEFT.search(_pattern(parts[place]) or "")
        if found:
            return parts, place, str(found.lastgroup)
    raise InputError(f"{stock.path}: the pre-tokenizer is not one that hypertok knows; {_REMEDY}")


def _with_run(parts: list[dict[str, Any]], place: int, run: str) -> dict[str, Any]:
    """The pre-tokenizer with the pattern of runs before its pattern of words, which the part at `place` has."""
    changed = {**parts[place], "pattern": {"Regex": f"{run}|{_pattern(parts[place])}"}}
    return {"type": "Sequence", "pretokenizers": [*parts[:place], changed, *parts[place + 1 :]]}


def crossing_tokens(stock: Stock) -> list[str]:
    """The stock tokens that reach over a cut which the run pattern takes away; none of them is the proof that the
    stock merges keep to the stock pieces inside a run. Tokens that begin or end inside a character count too.
    """
    if stock.family is Family.SENTENCEPIECE:
        return []
    *_, kind = _words_split(stock)
    return [token for joiner in _crossings(stock, kind).values() for token in joiner]


def lookup_only_words(stock: Stock) -> list[str]:
    """Russian words that the stock tokenizer makes one token only by looking the piece up whole (`ignore_merges`).

    Merges do not make these tokens, so in a longer piece they would fall apart: they cannot take part in a run.
    """
    if stock.family is Family.SENTENCEPIECE or not stock.data["model"].get("ignore_merges"):
        return []
    word = re.compile(rf"[^\r\n\w]?{SIMPLE_WORD}")
    found = []
    model = merging_model(stock.tokenizer, stock.data)
    for token, raw in stock.spelled.items():
        text = raw.decode("utf-8", "replace")
        if word.fullmatch(text) and len(model.tokenize(token)) != 1:
            found.append(text)
    return found


def _parts(stock: Stock) -> list[dict[str, Any]]:
    """The pre-tokenizer as a sequence that ends in ByteLevel, whose own pattern, if on, becomes a Split."""
    pre_tokenizer = stock.data.get("pre_tokenizer") or {}
    parts = list(pre_tokenizer.get("pretokenizers", ())) if pre_tokenizer.get("type") == "Sequence" else [pre_tokenizer]
    for part in parts:
        if part.get("type") not in ("Split", "Digits", "ByteLevel"):
            raise InputError(
                f"{stock.path}: pre_tokenizer {part.get('type')!r} is not one that hypertok can change; {_REMEDY}"
            )
    *before, last = parts
    if last["type"] != "ByteLevel" or any(part["type"] == "ByteLevel" for part in before):
        raise InputError(f"{stock.path}: the pre_tokenizer does not end in ByteLevel; {_REMEDY}")
    if last.get("add_prefix_space", True):
        raise InputError(f"{stock.path}: the pre_tokenizer puts a space before every piece; {_REMEDY}")
    if last.get("use_regex", True):
        split = {"type": "Split", "pattern": {"Regex": GPT2_PATTERN}, "behavior": "Isolated", "invert": False}
        return [*before, split, {**last, "use_regex": False}]
    return [*before, last]


def _pattern(part: dict[str, Any]) -> str | None:
    """The pattern of a Split whose matches become pieces."""
    behaviour = (part.get("behavior"), bool(part.get("invert")))
    if part["type"] != "Split" or behaviour not in (("Isolated", False), ("Isolated", True), ("Removed", True)):
        return None
    pattern = part.get("pattern", {}).get("Regex")
    return pattern if isinstance(pattern, str) else None


def _crossings(stock: Stock, kind: str) -> dict[str, list[str]]:
    """For each joiner character, the tokens that reach over a cut at it; found in the vocabulary, not in the merges
    alone, because `ignore_merges` looks pieces up.
    """
    letter = rb"(?:(?:^|\xd0|\xd1)[\x80-\xbf])"  # the last byte of a Russian letter; the first may be in another token
    patterns = {" ": letter + b" "}
    for character in _PUNCTUATION:
        patterns[character] = letter + character.encode() + b"|" + character.encode() + b" "
    for dash in _DASHES[:2]:
        last = dash.encode()
        patterns[dash] = b"(?:" + b"|".join(rb"^" * (cut > 0) + re.escape(last[cut:]) for cut in range(3)) + b") "
        # The character before a dash is always a space, which belongs to the dash's piece.
    patterns["-"] = letter + b"-|- " + (b"" if kind == "other" else rb"|-(?:\xd0|\xd1)")
    found: dict[str, list[str]] = {}
    compiled = {character: re.compile(pattern) for character, pattern in patterns.items()}
    inside = _russian_only()
    for token, raw in stock.spelled.items():
        if len(raw) < 2 or not inside(raw):
            continue
        for character, pattern in compiled.items():
            if pattern.search(raw):
                found.setdefault(character, []).append(token)
    return found


def _russian_only() -> Callable[[bytes], bool]:
    """Tells whether bytes can stand in a run: its first character may be anything, the last one be cut off."""
    letter = rb"\xd0[\x81\x90-\xbf]|\xd1[\x80-\x8f\x91]"
    inner = re.compile(
        rb"(?:[\x80-\xbf]{1,3}|[\xc2-\xf4][\x80-\xbf]{1,3}|[\x00-\x7f])?"
        rb"(?:" + letter + rb"|[ ,;:\-]|\xe2\x80[\x93\x94])*(?:[\xd0\xd1]|\xe2\x80?)?"
    )
    return lambda raw: inner.fullmatch(raw) is not None


def _run(stock: Stock, kind: str) -> str:
    """The pattern of a run, of the joiners that no stock token crosses.

    Raises:
        InputError: there are tokens of a word and the space after it, so there can be no runs.
    """
    crossings = _crossings(stock, kind)
    if " " in crossings:
        raise InputError(
            f"{stock.path}: the token {crossings[' '][0]!r} reaches from a word over the space behind it, so "
            f"words cannot be joined; {_REMEDY}"
        )
    punctuation = "".join(character for character in _PUNCTUATION if character not in crossings)
    dashes = "".join(character for character in _DASHES if character not in crossings)
    apart: dict[str, list[str]] = {}
    for text in lookup_only_words(stock):
        left = text[: not text[0].isalpha()]
        apart.setdefault(left, []).append(text[len(left) :])
    space = (f"[{punctuation}]? " if punctuation else " ") + (f"(?:[{dashes}] )?" if dashes else "")
    space += _none_of({"": apart.get(" ", [])})
    hyphen = "-" + _none_of({"": apart.get("-" if kind == "other" else "", [])})
    joiner = f"(?:{space}|{hyphen})" if "-" in dashes else space
    word = SIMPLE_WORD + WORD_END
    return f"{_none_of(apart)}{_LEFT_OF[kind]}{word}(?:{joiner}{word}){{0,{_WORDS_IN_RUN - 1}}}"


def _none_of(apart: dict[str, list[str]]) -> str:
    """A pattern that fails before the words given for each character that may stand on their left."""
    words = [f"{re.escape(left)}(?:{'|'.join(words)})" for left, words in sorted(apart.items()) if words]
    return f"(?!(?:{'|'.join(words)}){WORD_END})" if words else ""


def _check_one_piece(stock: Stock) -> None:
    """A SentencePiece-style tokenizer must not cut text at spaces.

    Raises:
        InputError: it does.
    """
    text = stock.tokenizer.normalizer.normalize_str(_PROBE) if stock.tokenizer.normalizer else _PROBE
    if len(_cuts(stock.tokenizer, text)) > 1:
        raise InputError(f"{stock.path}: the pre_tokenizer cuts text at spaces; {_REMEDY}")


def _check_cuts(stock: Stock, changed: dict[str, Any]) -> None:
    """Try the changed pre-tokenizer on everything that may meet a run.

    Raises:
        InputError: it cuts where the stock one does not, takes a cut away elsewhere than in a run, or cuts a run.
    """
    model = {"type": "BPE", "vocab": {}, "merges": []}
    new = built({"model": model, "pre_tokenizer": changed})
    for text in _probes():
        before, after = _cuts(stock.tokenizer, text), _cuts(new, text)
        if after - before or any(not _OPENED.fullmatch(text[cut - 1 : cut + 1]) for cut in before - after):
            raise InputError(
                f"{stock.path}: the pre_tokenizer cuts text in a way that hypertok does not know; {_REMEDY}"
            )
    if len(_cuts(new, _PROBE)) > 1:
        raise InputError(f"{stock.path}: the pre_tokenizer cuts {_PROBE!r} in spite of the run pattern; {_REMEDY}")


def _probes() -> Iterator[str]:
    for join in _JOINS:  # before the first word, between the words, behind the last one
        yield "".join(f"{join}{word}{end}\n" for word, end in product(_WORDS, ("", " мама", "'s", *_JOINS)))
        yield "".join(f"{one}{join}{two}{end}\n" for one, two, end in product(_WORDS, _WORDS, ("", ", да", "'s")))


def _cuts(tokenizer: Tokenizer, text: str) -> set[int]:
    """Where pieces begin, in characters."""
    if tokenizer.pre_tokenizer is None:
        return {0}
    return {begin for _, (begin, _) in tokenizer.pre_tokenizer.pre_tokenize_str(text)}
