"""Markdown (Obsidian's and GitHub's) to prose: what a reader would read aloud, and nothing else.

Front matter, code, HTML, comments, addresses, link targets, embeds and formulas without Cyrillic are
blanked; link texts, aliases, tags, table cells, headings and footnotes stay.

Masking by regular expressions rather than a parser: on 1,423 technical articles they do 18 million
characters a second where markdown-it-py parses 1.8, and a parser knows neither wikilinks nor callouts. Every
expression is linear: it fails before it could start again inside what it has just looked at. Code that is
only indented counts as text: in notes, what is indented is far more often a list.
"""

from __future__ import annotations

import re

from hypertok.corpus.prose import blank_addresses

_FENCE = re.compile(r"^[ \t>]*(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_FRONT_END = re.compile(r"^(?:---|\.\.\.)[ \t]*$", re.MULTILINE)
#: After the first line: a key, an item of a list, a comment, or nothing.
_FRONT_FIRST = re.compile(r"[ \t]*\n\s*(?:[^\s:#-][^:\n]*:(?:\s|$)|-\s|#|---|\.\.\.)")
_CODE2 = re.compile(r"(?<!`)(`{2,})(?!`)(?:[^`\n]|`(?!`))*\1(?!`)")
_CODE1 = re.compile(r"(?<!`)`(?!`)[^`\n]*(?:\n[^`\n]+)?`(?!`)")
_HTML_CODE = re.compile(r"<(script|style|pre|code|svg|math)\b[^<>]*>|<!--", re.IGNORECASE)
#: A tag holds no blank line: «t <T» in a formula opens none that a quotation («>») paragraphs below would close.
_TAG = re.compile(r"</?[A-Za-z][\w:-]*(?=[\s/>@.])(?:[^<>\n]|\n(?![ \t]*\n))*>|<![A-Z][^<>]*>|<\?[^<>]*>")
_EMBED = re.compile(r"!\[\[[^\[\]\n]*\]\]")
_WIKILINK = re.compile(r"\[\[([^\[\]|\n]*)(?:\|([^\[\]\n]*))?\]\]")
_BLOCK_ID = re.compile(r"#?\^[\w-]+$")
_CALLOUT = re.compile(r"\[![\w|-]+\][+-]?")
_TARGET = re.compile(
    r"\]\([ \t]*(?:<[^<>\n]*>|[^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)"
    r"(?:\s+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*\)"
)
_REFERENCE = re.compile(r"\]\[[^\[\]\n]*\]")
_DEFINITION = re.compile(
    r"^[ \t>]*\[(?!\^)[^\[\]\n]+\]:[ \t]*(?:<[^<>\n]*>|[^\s/#]*[/#]\S*+)"
    r"(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*$",
    re.MULTILINE,
)
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]+\]:?")
_CYRILLIC = "\u0400-\u052f"
_MATH2 = re.compile(rf"\$\$[^${_CYRILLIC}]*\$\$")
_MATH1 = re.compile(rf"(?<![\\$])\$(?![\s$])[^$\n{_CYRILLIC}]*(?<![\s\\])\$(?![\d$])")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")


def looks_like_markdown(text: str) -> bool:
    """Whether a text of unknown format uses Markdown's fences or links."""
    return "```" in text or "](" in text or "[[" in text  # "~~~" underlines titles in reStructuredText


class MarkdownMask:
    """Masks the pieces of one Markdown text in order, remembering a code fence left open between them.

    >>> MarkdownMask()("Читай [[Печень|о печени]] и `код`, см. [сайт](https://пример.рф).")
    'Читай о печени и  , см. [сайт .'
    """

    def __init__(self) -> None:
        self._at_start = True
        self._fence = ""

    @property
    def in_fence(self) -> bool:
        """Whether a code fence is open."""
        return bool(self._fence)

    def __call__(self, text: str) -> str:
        """The prose of the next piece."""
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if self._at_start:
            self._at_start = False
            text = _blank_front_matter(text)
        if self._fence or "```" in text or "~~~" in text:
            text = self._blank_fences(text)
        if "`" in text:
            text = _CODE2.sub(_gap, text) if "``" in text else text
            text = _CODE1.sub(_gap, text)
        if "<" in text:
            text = _TAG.sub(_gap, _blank_html_code(text))
        if "[" in text:
            text = _blank_link_parts(text)
        text = blank_addresses(text)
        if "$" in text:
            text = _MATH1.sub(" ", _MATH2.sub(_gap, text))
        if "&" in text:
            text = _ENTITY.sub(" ", text)
        return text

    def _blank_fences(self, text: str) -> str:
        kept: list[str] = []
        position = 0
        for match in _FENCE.finditer(text):
            marks, rest = match[1], match[2]
            if self._fence:
                if marks.startswith(self._fence) and not rest.strip():
                    kept.append("\n" * text.count("\n", position, match.end()))
                    position, self._fence = match.end(), ""
            elif "`" not in rest or marks[0] == "~":  # "```code```" on one line is inline code
                kept.append(text[position : match.start()])
                position, self._fence = match.start(), marks
        if self._fence:
            kept.append("\n" * text.count("\n", position))
        else:
            kept.append(text[position:])
        return "".join(kept)


def _blank_front_matter(text: str) -> str:
    text = text.removeprefix("\ufeff")
    if not text.startswith("---") or text[3 : text.find("\n") if "\n" in text else None].strip():
        return text
    end = _FRONT_END.search(text, 4)
    if end is None or not _FRONT_FIRST.match(text, 3):  # a note may begin with a rule
        return text
    return "\n" * text.count("\n", 0, end.end()) + text[end.end() :]


def _blank_html_code(text: str) -> str:
    """Blank comments and the elements whose content is not prose; an unclosed one loses only its tag."""
    kept: list[str] = []
    position = 0
    unclosed: set[str] = set()
    for match in _HTML_CODE.finditer(text):
        name = (match[1] or "").lower()
        if match.start() < position or name in unclosed:
            continue
        closing = re.compile(f"</{name}[ \t]*>" if name else "-->", re.IGNORECASE)
        end = closing.search(text, match.end())
        if end is None:
            unclosed.add(name)  # searched to the end once, never again
            continue
        kept += (text[position : match.start()], " ", "\n" * text.count("\n", match.start(), end.end()))
        position = end.end()
    return "".join(kept) + text[position:] if kept else text


def _blank_link_parts(text: str) -> str:
    if "[[" in text:
        text = _WIKILINK.sub(_wikilink_words, _EMBED.sub(" ", text))
    if "[!" in text:
        text = _CALLOUT.sub(" ", text)
    if "](" in text:
        text = _TARGET.sub(_gap, text)
    if "][" in text:
        text = _REFERENCE.sub(" ", text)
    if "]:" in text:
        text = _DEFINITION.sub(" ", text)
    if "[^" in text:
        text = _FOOTNOTE.sub(" ", text)
    return text


def _wikilink_words(match: re.Match[str]) -> str:
    alias = match[2]
    return alias if alias is not None and alias.strip() else _BLOCK_ID.sub(" ", match[1])


def _gap(match: re.Match[str]) -> str:
    """A space, and the line ends that the match contained."""
    return " " + "\n" * match[0].count("\n")
