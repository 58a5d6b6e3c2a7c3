"""Makes lexicon/ru/inflections.tsv: every inflection the OpenCorpora dictionary knows, with a fixed number.

Numbers become inflection marks, so the committed table only ever grows at its end: a newer dictionary's new
inflections are appended. Run: python lexicon/recipes/inflections.py
"""

from __future__ import annotations

from pathlib import Path

from hypertok.lexicon.grammemes import inflection_of
from hypertok.lexicon.morphology import analyzer

#: Grammar-book order: where one form has several readings, the codec takes the first in the table.
ORDER = [
    *("INFN", "sing", "masc", "femn", "neut", "plur"),
    *("nomn", "gent", "datv", "accs", "ablt", "loct", "voct", "gen1", "gen2", "acc2", "loc1", "loc2"),
    *("anim", "inan", "1per", "2per", "3per", "pres", "past", "futr", "indc", "impr", "actv", "pssv"),
    *("ADJS", "COMP", "PRTF", "PRTS", "GRND"),
]


def rank(inflection: str) -> tuple[int, list[int]]:
    """Sort key: plain grammemes first, then by the book's order; style variants (V-oy …) last."""
    grammemes = inflection.replace(",", " ").split()
    places = [ORDER.index(g) if g in ORDER else len(ORDER) for g in grammemes]
    return (len(ORDER) in places) + (2 if inflection[:4] in ORDER[-5:] else 0), places


def main() -> None:
    """Append what the table lacks; numbers start at 1, a concept's base form has no mark."""
    path = Path(__file__).parents[1] / "ru" / "inflections.tsv"
    rows = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    known = {row.split("\t")[1] for row in rows}
    tags = {str(tag) for tag in analyzer().dictionary.gramtab}
    for inflection in sorted({inflection_of(tag) for tag in tags} - known, key=lambda key: (rank(key), key)):
        rows.append(f"{len(rows) + 1}\t{inflection}")
    path.write_text("id\tinflection\n" + "\n".join(rows) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(rows)} inflections")


if __name__ == "__main__":
    main()
