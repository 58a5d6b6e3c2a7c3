"""The proof that every unit is there: made by the merges alone, and coming out of some sentence."""

from __future__ import annotations

from functools import partial

from hypertok.tokenizer.stock import encoded, merging_model
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_report import Line, Tally, short
from hypertok.tokenizer.verify_texts import Completions, carriers

#: The line that only a tokenizer for text as written promises.
IN_A_SENTENCE = "units, in a sentence"


def unit_lines(pair: Extension) -> list[Line]:
    """The merges make every unit, and there is text around which it comes out."""
    alone, inside = Tally("units, alone", "units"), Tally(IN_A_SENTENCE, "units")
    model = merging_model(pair.tokenizer, pair.data)
    for token, id_ in pair.units.items():
        made = [piece.id for piece in model.tokenize(token)]
        alone.want(made == [id_], f"{short(token)} (id {id_}) falls into {made[:8]}")
    ways, completions = list(carriers(pair.span)), Completions(pair.unit_texts)
    left: dict[int, list[str]] = {}
    for id_, token, text in pair.delta.select("id", "token", "text").iter_rows():
        left[id_] = [text] if text is not None else completions.of(pair.stock.bytes_of(token))
    parts, first = sum(len(texts) != 1 for texts in left.values()), 0
    for number, (before, after) in enumerate(ways):
        tried = [(id_, f"{before}{text}{after}") for id_, texts in left.items() for text in texts]
        made_ids = encoded(pair.tokenizer, [text for _, text in tried], special=False)
        for (id_, _), ids in zip(tried, made_ids, strict=True):
            if id_ in ids:
                left.pop(id_, None)
        first = len(pair.units) - len(left) if number == 0 else first
        if not left:
            break
    names = {id_: token for token, id_ in pair.units.items()}
    for id_ in names:
        inside.want(id_ not in left, partial("{} (id {}) comes out of no sentence tried".format, names[id_], id_))
    where = "inside a run of words" if pair.span == "phrase" else "after a space or sign, before a sign"
    detail = f"{first:,} right away {where}, the others with other neighbours"
    return [
        alone.line("the merges make each of them of its own string"),
        inside.line(detail + (f"; {parts:,} hold part of a character" if parts else "")),
    ]
