"""A valid lexicon of any size, made up: for measuring how a large one loads."""

from __future__ import annotations

import platform
from pathlib import Path

import polars as pl

from hypertok.artifact import seal, writing
from hypertok.corpus.counting import CountedCorpus
from hypertok.corpus.records import Plan
from hypertok.lexicon.assemble import Tables, _inflection_table
from hypertok.lexicon.build import _write
from hypertok.lexicon.forms import number_variants
from hypertok.lexicon.inflections import shipped_inflections
from hypertok.lexicon.lexicon import KIND
from hypertok.lexicon.symbols import assign_symbols

SYLLABLES = [c + v for c in "бвгджзклмнпрстфхцчшщ" for v in "аеиоуыюя"]
STEM_SYLLABLES = 4
#: Multiplying by a number without a common factor makes neighbours in the table differ from the first letter.
SCATTER = 2_654_435_761
#: With stems of eight letters, forms are 9 letters long on average, as in the lexicon of real text.
ENDINGS = ("а", "ы", "ой", "ами", "ах", "е", "у", "ою")
INFLECTIONS = (
    "sing,nomn",
    "sing,gent",
    "sing,ablt",
    "plur,ablt",
    "plur,loct",
    "sing,loct",
    "sing,accs",
    "plur,gent",
)
#: Share of multiword concepts, as in the lexicon of real text.
PHRASE_EVERY = 20


def stem(number: int) -> str:
    """Eight letters, different for every number below `len(SYLLABLES) ** STEM_SYLLABLES`."""
    rest = number * SCATTER % len(SYLLABLES) ** STEM_SYLLABLES
    letters = []
    for _ in range(STEM_SYLLABLES):
        rest, syllable = divmod(rest, len(SYLLABLES))
        letters.append(SYLLABLES[syllable])
    return "".join(letters)


def write_lexicon(folder: Path, concepts: int, forms: int) -> None:
    """Write a lexicon of so many concepts and (about) forms, the same number for each concept, at most 8."""
    each = forms // concepts
    stems = [stem(n) for n in range(concepts)]
    phrase = [n % PHRASE_EVERY == PHRASE_EVERY - 1 for n in range(concepts)]
    # A phrase inflects in its first word; the second stays as it is.
    tails = [f" {stems[n - 1]}{ENDINGS[1]}" if phrase[n] else "" for n in range(concepts)]
    table = pl.DataFrame(
        {
            "lemma": [s + ENDINGS[0] + tail for s, tail in zip(stems, tails, strict=True)],
            "pos": "NOUN",
            "kind": ["phrase" if p else "word" for p in phrase],
            "count": list(range(concepts, 0, -1)),
            "cases": ["00" if p else "0" for p in phrase],
        }
    )
    ids = [shipped_inflections().id_of(key) for key in INFLECTIONS]
    table = table.with_columns(assign_symbols(table, {}), base=pl.lit(ids[0], pl.UInt16))
    pairs = [(n, k) for n in range(concepts) for k in range(each)]
    rows = pl.DataFrame(
        {
            "form": [stems[n] + ENDINGS[k] + tails[n] for n, k in pairs],
            "concept": [n for n, _ in pairs],
            "inflection": [ids[k] for _, k in pairs],
            "main": True,
            "attested": [k < 3 for _, k in pairs],
            "count": [float(concepts - n) / each for n, _ in pairs],
            "probability": 1.0,
        },
        schema_overrides={"concept": pl.UInt32, "inflection": pl.UInt16},
    )
    rows = number_variants(rows, table["lemma"])
    by_form = rows.with_row_index("row").sort("form", "row")["row"]
    columns = ["symbol", "lemma", "pos", "kind", "count", "cases", "base"]
    tables = Tables(
        concepts=table.select(columns),
        forms=rows.with_columns(by_form=by_form),
        inflections=_inflection_table(shipped_inflections()),
    )
    nothing_counted = CountedCorpus(
        plan=Plan(Path(), ()),
        vocabulary=pl.DataFrame(),
        reports=[],
        fingerprint="",
        pruned=0,
        shard_folders=(),
    )
    with writing(folder, KIND) as beside:
        _write(beside, tables, nothing_counted)
        seal(
            beside,
            KIND,
            recipe={"synthetic": True},
            versions={"python": platform.python_version()},
            facts={"concepts": concepts, "forms": rows.height},
        )
