"""From the text of a document to its prose: what remains when everything that is not words is blanked.

Blanking puts spaces (and keeps line ends) where something was, so that the words around it stay apart.
Markup has its own module (`markdown`); this one knows addresses, invisible characters and mixed scripts.
"""

from __future__ import annotations

import re

from hypertok.corpus.normal_form import nfc
from hypertok.corpus.words import blank_mixed

#: An address with a scheme, or one that starts with www; it ends before closing quotes and brackets.
_URL = re.compile(r"(?:\b[A-Za-z][A-Za-z0-9+.-]{1,15}://|\bwww\.)[^\s<>\"«»“”„)\]}|\\^`]+", re.ASCII)
#: The look-behind lets an attempt start at the start of a name only: linear even on a megabyte of letters.
_MAIL = re.compile(r"(?:mailto:)?(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
#: Unseen characters that break words apart: soft hyphen, zero-width space, word joiner, byte order mark.
_INVISIBLE = "\u00ad\u200b\u2060\ufeff"
_HIDE = dict.fromkeys(map(ord, _INVISIBLE))


def blank_addresses(text: str) -> str:
    """`text` with URLs and e-mail addresses replaced by one space each.

    >>> blank_addresses("Смотри https://пример.рф/путь и пиши на почта@пример.рф сегодня.")
    'Смотри   и пиши на   сегодня.'
    """
    if "://" in text or "www." in text:
        text = _URL.sub(" ", text)
    if "@" in text:
        text = _MAIL.sub(" ", text)
    return text


def clean(prose: str) -> tuple[str, list[str]]:
    """The last step for every format: NFC, plain line ends, mixed words blanked and listed.

    >>> clean("Cлово и дело")
    ('      и дело', ['Cлово'])
    """
    if "\r" in prose:
        prose = prose.replace("\r\n", "\n").replace("\r", "\n")
    prose = nfc(prose)
    if any(char in prose for char in _INVISIBLE):  # four memchr, ten times faster than one set
        prose = prose.translate(_HIDE)
    return blank_mixed(prose)
