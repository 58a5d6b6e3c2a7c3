"""Text as the elements that units of several words are made of: simple words with the space before them, and joiners.

Elements that follow one another without a break form a *run*, the text that an extended tokenizer can merge across:
«— Да, — сказал он, — кое-что было» has the runs « Да, — сказал он, — кое-что было». A *simple* word is lower case,
capitalised or all capitals, and touches no other letter, mark or digit; everything else breaks a run.

>>> elements = Elements()
>>> [elements.names[e] or "/" for e in elements.cut("В том числе, и кое-кто (он).")]
['В', ' том', ' числе', ',', ' и', ' кое', '-', 'кто', '/', '/', 'он', '/', '/']
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.uint32]

BREAK = 0
HYPHEN = "-"
#: A simple word, in pre-tokenizers, too (`tokenizer/pretokenizer.py`), whose engine needs a limit of letters.
SIMPLE_WORD = "(?:[А-ЯЁ]?[а-яё]{1,48}|[А-ЯЁ]{1,48})"
#: Behind a simple word, in the regular expressions of tokenizers: nothing that makes it no simple one.
WORD_END = r"(?![\p{L}\p{M}\p{N}'])"
#: A word in any case, hyphens inside it included.
HYPHENATED = "[А-ЯЁа-яё]+(?:-[А-ЯЁа-яё]+)*"
_LETTER = "[А-ЯЁа-яё]"
_WORD = rf"(?<![^\W_])(?<![\u0300-\u036f]){SIMPLE_WORD}(?![^\W_]|['\u0300-\u036f])"
#: A joiner counts as one only before a simple word: what closes a run is left to the stock pre-tokenizer.
_JOINER = (
    rf"(?<={_LETTER})[,;:](?= (?:[—–-] )?{_WORD})|(?<=[А-ЯЁа-яё,;:]) [—–-](?= {_WORD})"
    rf"|(?<={_LETTER}){HYPHEN}(?={_WORD})"
)
#: The group is the element; what is found without it breaks a run.
_ELEMENT = re.compile(rf"( ?{_WORD}|{_JOINER})|[A-Za-z0-9]+|[^А-ЯЁа-яёA-Za-z0-9,;:— –-]+|.", re.DOTALL)


class Elements(dict[str, int]):
    """Numbers elements on first sight; `names[BREAK]` is '' and stands for everything that is none."""

    def __init__(self) -> None:
        super().__init__({"": BREAK})
        self.names = [""]

    def __missing__(self, element: str) -> int:
        self[element] = number = len(self.names)
        self.names.append(element)
        return number

    def cut(self, prose: str) -> Ids:
        """The elements of one document, ending in a BREAK. Shape (E,)."""
        found = _ELEMENT.findall(prose)
        ids = np.fromiter(map(self.__getitem__, found), dtype=np.uint32, count=len(found))
        return np.append(ids, np.uint32(BREAK))


def is_joiner(name: str) -> bool:
    """Whether an element joins words."""
    return name != "" and name[-1] in ",;:—–-"
