"""What is told of the tokens of a text: which they are, where they stand, and why each is what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hypertok.lexicon.lexicon import Concept


@dataclass(frozen=True)
class Token:
    """One token of a text.

    Attributes:
        id: its id.
        text: what it stands for; bytes that are part of a character as "\\xd0".
        is_new: whether it is a new unit, not a stock token.
        start: its first character in the decoded text.
        end: the character after its last one; tokens of one character share that character, and in symbol text a
            mark on its own has none.
    """

    id: int
    text: str
    is_new: bool
    start: int
    end: int


@dataclass(frozen=True)
class Constituent:
    """A stock token of a unit's stock segmentation; `characters` of the unit end in it."""

    id: int
    text: str
    characters: int


@dataclass(frozen=True)
class Explained:
    """Why a token is what it is.

    Attributes:
        written: what was encoded: the word alone, or after a space.
        id: the token's id.
        text: what it stands for; in symbol text the symbols, their marks in words ("肝⟨sing,gent⟩").
        is_new: whether it is a new unit; for a stock token all that follows is empty.
        concepts: the concepts it has to do with.
        inflections: grammemes of its forms, as in OpenCorpora ("sing,gent").
        constituents: the stock tokens it stands for.
        count: how often it comes out as a token of the texts it was learned on, longer units having taken their part.
        saved: stock tokens that it saved there.
    """

    written: str
    id: int
    text: str
    is_new: bool
    concepts: tuple[Concept, ...] = ()
    inflections: tuple[str, ...] = ()
    constituents: tuple[Constituent, ...] = ()
    count: int | None = None
    saved: int | None = None

    def __str__(self) -> str:
        """One line for people."""
        if not self.is_new:
            return f"{self.id} {self.text!r}: a stock token"
        parts = " + ".join(repr(one.text) for one in self.constituents)
        about = "; ".join(f"{concept.lemma} {concept.pos}" for concept in self.concepts)
        words = [f"{self.id} {self.text!r}: a new unit of {parts}", about, ", ".join(self.inflections)]
        words.append(f"{self.count:,} times in the texts it was learned on, {self.saved:,} stock tokens saved")
        return "; ".join(word for word in words if word)
