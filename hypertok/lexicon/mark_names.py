"""Symbol text with its marks in words, for people."""

from __future__ import annotations

from hypertok.codec import marks
from hypertok.lexicon.inflections import shipped_inflections

#: Of the case marks, in their order.
CASE_NAMES = ("lower", "Title", "UPPER", "Title-In-Every-Part")


def spelled(text: str) -> str:
    """Symbol text with its marks in words: «肝⟨sing,gent⟩»."""
    return text if text.isascii() else "".join(map(_name, text))


def _name(character: str) -> str:
    if not marks.BLOCK_FIRST <= ord(character) <= marks.BLOCK_LAST:
        return character
    if character in marks.CASE_MARKS:
        return f"⟨{CASE_NAMES[marks.CASE_MARKS.index(character)]}⟩"
    if character in marks.VARIANTS:
        return f"⟨variant {marks.variant_id(character)}⟩"
    if ord(character) >= marks.INFLECTION_FIRST:
        keys, number = shipped_inflections().keys, marks.inflection_id(character)
        return f"⟨{keys[number - 1] or 'uninflected' if number <= len(keys) else number}⟩"
    return "⟨escape⟩" if character == marks.ESCAPE else character
