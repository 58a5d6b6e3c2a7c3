"""The proof of the tables beside an extended tokenizer: each row of the delta, each token given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypertok.tokenizer.kind import read_table
from hypertok.tokenizer.scripts import RUSSIAN
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.unused import unused_tokens
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_report import Line, Tally, short


def delta_line(pair: Extension) -> Line:
    """Each row says of its unit what the vocabulary and the stock tokenizer say."""
    tally, stock, facts = Tally("delta", "rows"), pair.stock, pair.manifest.facts
    rows = pair.delta.to_dicts()
    ids = [row["id"] for row in rows]
    if pair.given_up is None:
        first = facts.get("first_id", ids[0] if ids else 0)
        tally.want(ids == list(range(first, first + len(ids))), f"ids are not {first}, {first + 1}, …", 0)
    tally.want(len(ids) == facts.get("units", len(ids)), f"{len(ids)} rows, {facts.get('units')} units", 0)
    vocabulary = pair.data["model"]["vocab"]
    known = stock.vocabulary.keys() | {token for token, id_ in vocabulary.items() if id_ < stock.first_free_id}
    for token in vocabulary.keys() - known - pair.units.keys():
        tally.want(False, f"{token!r} is in the vocabulary and not in the delta", 0)
    concepts = pair.folder / "concepts.parquet"
    meanings = read_table(concepts).height if concepts.is_file() else None
    whole = [row["text"] for row in rows if row["text"] is not None]
    # A unit stands inside words, where no piece is looked up whole; alone it might be one (Llama 3.1: " позволя").
    model = {**stock.data["model"], "ignore_merges": False}
    merging = Stock(stock.path, {**stock.data, "model": model}, stock.family)
    cut = dict(zip(whole, merging.segment(whole), strict=True))
    surfaces = sorted({row["surface"] for row in rows if row.get("surface") is not None})
    surface_cut = dict(zip(surfaces, stock.segment(surfaces), strict=True))
    for row in rows:
        wrong = _wrong_row(row, stock, cut) or _wrong_surface(row, stock, surface_cut)
        if vocabulary.get(row["token"]) != row["id"]:
            wrong = f"the vocabulary has {vocabulary.get(row['token'])} for its token"
        elif meanings is not None and max(row["concepts"], default=0) >= meanings:
            wrong = "a concept that concepts.parquet does not have"
        tally.want(not wrong, f"id {row['id']} ({short(row['text'] or row['token'])}): {wrong}")
    return tally.line("ids, strings, stock constituents and their lengths")


def _wrong_row(row: dict[str, Any], stock: Stock, cut: Mapping[str, list[int]]) -> str:
    """What is wrong with a row of the delta, "" if nothing is."""
    raw, text, right = stock.bytes_of(row["token"]), row["text"], stock.text_of(row["token"])
    if text != right:
        return f"its text is {right!r}, not {text!r}"
    ids, lengths = row["constituents"], row["lengths"]
    if any(id_ not in stock.token_of for id_ in ids):
        return "a constituent that is no stock token"
    parts = [stock.bytes_of(stock.token_of[id_]) for id_ in ids]
    if b"".join(parts) != raw:
        return f"its constituents make {b''.join(parts)!r}"
    if text is not None and ids != cut[text]:
        return f"the stock tokenizer cuts it into {cut[text]}"
    expected = _lengths(parts)
    return "" if lengths == expected else f"lengths {lengths}, not {expected}"


def _wrong_surface(row: dict[str, Any], stock: Stock, cut: Mapping[str, list[int]]) -> str:
    """What is wrong with the surface of a unit of symbol text, "" if nothing is, or if the row has none."""
    if "surface" not in row:
        return ""
    ids, lengths = row["surface_constituents"], row["surface_lengths"]
    if not ids or len(ids) != len(lengths) or any(id_ not in stock.token_of for id_ in ids):
        return f"surface constituents {ids} with lengths {lengths}"
    if row["surface"] is None:  # examples of a mark, or what merges make
        return ""
    if ids != cut[row["surface"]]:
        return f"the stock tokenizer cuts its surface {row['surface']!r} into {cut[row['surface']]}"
    expected = _lengths([stock.bytes_of(stock.token_of[id_]) for id_ in ids])
    return "" if lengths == expected else f"surface lengths {lengths}, not {expected}"


def _lengths(parts: list[bytes]) -> list[int]:
    """For each part the characters that end in it, counted from the beginning each time."""
    ends = [len(b"".join(parts[:number]).decode("utf-8", "ignore")) for number in range(1, len(parts) + 1)]
    return [end - begin for begin, end in zip((0, *ends), ends, strict=False)]


def given_up_lines(pair: Extension) -> list[Line]:
    """With --replace-unused: what was given up is of the stock tokenizer, and nothing that all text needs."""
    if pair.given_up is None:
        return []
    tally, added = Tally("tokens given up", "tokens"), {token["id"] for token in pair.stock.added}
    languages = pair.manifest.recipe.get("replace_unused") or (RUSSIAN,)
    unused = {one.token for one in unused_tokens(pair.stock, languages)}
    for row in pair.given_up.to_dicts():
        raw = pair.stock.bytes_of(row["token"])
        right = pair.stock.vocabulary.get(row["token"]) == row["id"] and row["id"] not in added
        right = right and len(raw) > 1 and not raw.isascii() and row["token"] in unused
        tally.want(right, f"{row['id']} {row['token']!r}")
    told = f"of no letters of {', '.join(sorted(set(languages)))}; none of them added, a single byte or ASCII"
    return [tally.line(told)]
