"""The proof of what tokenizer.json holds: stock ids with their flags, all ids, stock merges, the other parts.

These lines are exact: each compares all that there is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from hypertok.tokenizer.kind import ROW_MULTIPLE
from hypertok.tokenizer.pretokenizer import symbol_pretokenizer
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_report import SHOWN, Line, Tally
from hypertok.vocabulary.symbol_codec import symbol_run_pattern

#: An added token's content and how it is found in text.
Flags = tuple[Any, ...]


def raw_id_lines(pair: Extension) -> list[Line]:
    """Stock ids as they are written, as `tokenizers` loads them, and after it saved and loaded them again."""
    # Saving writes what the library holds, after it gave ids to the added tokens anew.
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "tokenizer.json"
        pair.tokenizer.save(str(saved))
        again = Tokenizer.from_file(str(saved))
    added = {token["id"]: token for token in pair.data.get("added_tokens") or ()}
    written = {**pair.data["model"]["vocab"], **{token["content"]: id_ for id_, token in added.items()}}
    lines = [same_ids(pair, "stock ids in tokenizer.json", written, added)]
    for name, loaded in (("loaded by tokenizers", pair.tokenizer), ("saved and loaded again", again)):
        vocabulary = loaded.get_vocab(with_added_tokens=True)
        lines.append(same_ids(pair, f"stock ids, {name}", vocabulary, loaded.get_added_tokens_decoder()))
    return lines


def flags(token: AddedToken | Mapping[str, Any]) -> Flags:
    """The content and the flags of an added token, of the library or as in tokenizer.json."""
    names = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")
    return tuple(token[name] if isinstance(token, Mapping) else getattr(token, name) for name in names)


def same_ids(
    pair: Extension,
    name: str,
    vocabulary: Mapping[str, int],
    added: Mapping[int, Any],
    allowed: Mapping[int, Flags] | None = None,
) -> Line:
    """Every stock token has its id, and every added token its flags (`allowed`: those that the stock's class gives)."""
    tally = Tally(name, "ids")
    for content, id_ in pair.kept.items():
        found = vocabulary.get(content)
        if found != id_:
            tally.want(False, f"{content!r} has id {found}, not {id_}")
    tally.checked = len(pair.kept)
    for token in pair.stock.added:
        found_flags = flags(added[token["id"]]) if token["id"] in added else None
        right = found_flags == flags(token) or (allowed is not None and found_flags == allowed.get(token["id"]))
        if not right:
            tally.want(False, f"added token {token['id']} {token['content']!r} is {found_flags}", 0)
    more = len(added) - len(pair.stock.added)
    if more:
        tally.want(False, f"{more:+} added tokens", 0)
    exempt = f"; {len(pair.freed):,} ids given up are exempt" if pair.given_up is not None else ""
    return tally.line(f"{len(pair.stock.added):,} added tokens with their flags among them{exempt}")


def part_line(pair: Extension) -> Line:
    """Stock merges first, in their order; nothing else changed but the pre-tokenizer."""
    tally, gone = Tally("stock merges and other parts", "merges"), pair.stock.vocabulary.keys() - pair.kept.keys()
    expected = [merge for merge in pair.stock.merges if gone.isdisjoint((*merge, "".join(merge)))]
    tally.checked = len(expected)
    wrong = next((n for n, merge in enumerate(expected) if pair.merges[n : n + 1] != [merge]), None)
    if wrong is not None:
        tally.want(False, f"merge {wrong} is {pair.merges[wrong : wrong + 1]}, not {expected[wrong]}", 0)
    lost = {"".join(merge) for merge in pair.stock.merges} - {"".join(merge) for merge in expected}
    tally.want(lost.isdisjoint(pair.kept), f"{sorted(lost & pair.kept.keys())[:1]} stays, and no merge makes it", 0)
    known = set(expected)
    again = [merge for merge in pair.merges[len(expected) :] if merge in known]
    tally.want(not again, f"{again[:1]} stands again behind the stock merges, where it ranks", 0)
    new, old = pair.data["model"], pair.stock.data["model"]
    for key in (new.keys() | old.keys()) - {"vocab", "merges"}:
        tally.want(new.get(key) == old.get(key), f"model.{key} is {new.get(key)!r}, not {old.get(key)!r}", 0)
    changes = {"model", "added_tokens"} | ({"pre_tokenizer"} if pair.span == "phrase" or pair.symbol_text else set())
    if pair.symbol_text:  # of surface text the units themselves are tried, and the cuts of other text
        own = symbol_pretokenizer(pair.stock, symbol_run_pattern(pair.codec_symbols))
        right = pair.data.get("pre_tokenizer") == (pair.stock.data.get("pre_tokenizer") if own is None else own)
        tally.want(right, "pre_tokenizer does not take a run of symbols as one piece", 0)
    for key in (pair.data.keys() | pair.stock.data.keys()) - changes:
        tally.want(pair.data.get(key) == pair.stock.data.get(key), f"{key} was changed", 0)
    cuts = "pre-tokenizer as it was" if pair.same_pre_tokenizer else "pre-tokenizer changed, all else as it was"
    return tally.line(f"they rank before all {len(pair.merges) - len(expected):,} new ones; {cuts}")


def bijection_line(pair: Extension) -> Line:
    """Ids from 0 on without a hole, one token each."""
    tally, vocabulary = Tally("ids without holes, one token each", "ids"), pair.data["model"]["vocab"]
    ids = set(vocabulary.values())
    tally.want(len(ids) == len(vocabulary), f"{len(vocabulary)} tokens, {len(ids)} ids", len(vocabulary))
    for hole in sorted(set(range(max(ids) + 1)) - ids)[:SHOWN]:
        tally.want(False, f"no token has id {hole}", 0)
    loaded = pair.tokenizer.get_vocab(with_added_tokens=True)
    tally.want(loaded == vocabulary, f"loaded it has {len(loaded)} tokens, or other ids", 0)
    return tally.line(f"0 to {max(ids)}")


def reserved_line(pair: Extension) -> Line:
    """Units have no id that is another's: of the stock tokenizer, of the model's spare rows."""
    tally, free = Tally("reserved rows stay free", "ids"), pair.stock.first_free_id
    for token, id_ in pair.units.items():
        tally.want(id_ >= free or id_ in pair.freed, f"unit {token!r} has id {id_}; the first free one is {free}")
    stock_ids = set(pair.stock.vocabulary.values())
    spare = {t: n for t, n in pair.data["model"]["vocab"].items() if n not in stock_ids and t not in pair.units}
    made = pair.tokenizer.encode_batch_fast([*spare, *(f"а {token} б" for token in spare)], add_special_tokens=False)
    for token, encoding in zip((*spare, *spare), made, strict=True):
        tally.want(spare[token] not in encoding.ids, f"the text {token!r} gives the spare id {spare[token]}", 0)
    rows, size = pair.manifest.facts.get("rows"), len(pair.data["model"]["vocab"])
    if isinstance(rows, int):
        tally.want(rows >= size and rows % ROW_MULTIPLE == 0, f"{rows} rows are planned for {size} ids", 0)
    return tally.line(f"units from {free if not pair.freed else min(pair.freed)} on; {len(spare):,} spare ids unused")
