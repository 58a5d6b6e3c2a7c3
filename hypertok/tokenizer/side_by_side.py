"""Segmentations of one text beside each other: for a terminal, a pipe, a page of HTML, a machine."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hypertok.errors import InputError
from hypertok.terminal import steers
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.plain import PlainTokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.tokens import Token

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

#: Two backgrounds in turn, for stock tokens and for new units; readable on dark and light terminals.
STOCK_STYLES = ("black on grey85", "black on grey70")
NEW_STYLES = ("bold black on pale_green1", "bold black on dark_sea_green3")
#: Terminals narrower than this get the segmentations one above the other.
SIDE_BY_SIDE_WIDTH = 80
NEW_LINE = "⏎"
#: Tokens in a row of the page at least, where the text has line ends to cut at: browsers skip rows out of sight.
_ROW = 40


@dataclass(frozen=True)
class Segmentation:
    """A text cut by one tokenizer.

    Attributes:
        name: of the tokenizer.
        text: the text as the tokenizer read it (Qwen's is in NFC).
        tokens: its tokens, with places in `text`.
    """

    name: str
    text: str
    tokens: tuple[Token, ...]

    @property
    def new(self) -> int:
        """How many of the tokens are new units."""
        return sum(token.is_new for token in self.tokens)

    @property
    def characters_per_token(self) -> float:
        """Characters of text per token; 0 for no text."""
        return len(self.text) / len(self.tokens) if self.tokens else 0.0

    def __str__(self) -> str:
        """The figures in one line."""
        new = f" ({self.new:,} new units)" if self.new else ""
        return f"{self.name}: {len(self.tokens):,} tokens{new}, {self.characters_per_token:.2f} characters per token"


@dataclass(frozen=True)
class Comparison:
    """One text, cut by the extended tokenizer and, if asked for, by the stock one.

    Attributes:
        extended: by the extended tokenizer.
        stock: by the stock one.
        constituents: for each new unit in the text the texts of its stock tokens.
    """

    extended: Segmentation
    stock: Segmentation | None
    constituents: dict[int, tuple[str, ...]]

    @property
    def ratio(self) -> float | None:
        """Stock tokens for each token of the extended tokenizer; None without a stock segmentation or tokens."""
        if self.stock is None or not self.extended.tokens:
            return None
        return len(self.stock.tokens) / len(self.extended.tokens)

    @property
    def columns(self) -> tuple[Segmentation, ...]:
        """The segmentations, the stock one first."""
        return (self.extended,) if self.stock is None else (self.stock, self.extended)

    @property
    def summary(self) -> str:
        """The figures in one or two lines and, with two segmentations, the ratio."""
        lines = [str(column) for column in self.columns]
        if self.ratio is not None:
            lines.append(f"{self.ratio:.2f} stock tokens to one")
        return "\n".join(lines)


def compare(text: str, tokenizer: HyperTokenizer, stock: Stock | None = None) -> Comparison:
    """Cut a text.

    Raises:
        InputError: a lone surrogate in the text.
    """
    tokens = tuple(tokenizer.tokens(text))
    read = tokenizer.decode([token.id for token in tokens])
    extended = Segmentation(tokenizer.folder.resolve().name, read, tokens)
    new = {token.id for token in tokens if token.is_new}
    constituents = {one: tuple(part.text for part in tokenizer.constituents(one)) for one in sorted(new)}
    before = None
    if stock is not None:
        plain = PlainTokenizer.of(stock)
        ids = plain.encode_batch([text])[0]
        before = Segmentation(_name(stock), plain.decode(ids), tuple(plain.tokens(ids)))
    return Comparison(extended, before, constituents)


def _name(stock: Stock) -> str:
    """The name of the stock's folder; the file's where that says more."""
    return stock.folder.resolve().name if stock.path.name == "tokenizer.json" else stock.path.name


def visible(text: str) -> str:
    """Text with line ends marked, and with what steers a terminal, tabs apart, as pictures or codes."""
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    if char == "\n":
        return f"{NEW_LINE}\n"
    if char == "\t" or not steers(char):
        return char
    code = ord(char)
    return chr(0x2400 + code) if code < 0x20 else "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def piped(comparison: Comparison) -> str:
    """For a pipe or a file: tokens separated by "|", then the figures."""
    parts = []
    for column in comparison.columns:
        tokens = "|".join(visible(token.text) for token in column.tokens)
        parts.append(f"{column}\n{tokens}\n")
    if comparison.ratio is not None:
        parts.append(f"{comparison.ratio:.2f} stock tokens to one\n")
    return "\n".join(parts)


def rendered(comparison: Comparison, width: int) -> RenderableType:
    """For a terminal of `width` columns: tokens on backgrounds in turn, new units bold and green."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    columns = [_coloured(column.tokens) for column in comparison.columns]
    titles = [Text(str(column), "bold") for column in comparison.columns]
    end = [] if comparison.ratio is None else [Text(f"{comparison.ratio:.2f} stock tokens to one", "bold")]
    if len(columns) == 1 or width < SIDE_BY_SIDE_WIDTH:
        parts = [part for title, column in zip(titles, columns, strict=True) for part in (title, column, Text(""))]
        return Group(*parts, *end)
    table = Table(box=None, expand=True, padding=(0, 1), show_header=True)
    for title in titles:
        table.add_column(title, ratio=1, overflow="fold")
    table.add_row(*columns)
    return Group(table, Text(""), *end)


def _coloured(tokens: Sequence[Token]) -> Text:
    from rich.text import Text

    text = Text(overflow="fold")
    for number, token in enumerate(tokens):
        styles = NEW_STYLES if token.is_new else STOCK_STYLES
        text.append(visible(token.text), styles[number % 2])
    return text


def as_json(comparison: Comparison) -> str:
    """For machines: text, tokens with places, counts; constituents of the new units by id."""

    def described(column: Segmentation | None) -> dict[str, Any] | None:
        if column is None:
            return None
        return {
            "name": column.name,
            "text": column.text,
            "count": len(column.tokens),
            "new": column.new,
            "characters_per_token": round(column.characters_per_token, 4),
            "tokens": [asdict(token) for token in column.tokens],
        }

    content = {
        "extended": described(comparison.extended),
        "stock": described(comparison.stock),
        "ratio": None if comparison.ratio is None else round(comparison.ratio, 4),
        "constituents": {str(one): texts for one, texts in comparison.constituents.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def as_html(comparison: Comparison) -> str:
    """A page that needs nothing but itself; the tooltip of a token has its id and constituents.

    The segmentations stand in columns, whose rows begin at line ends where all of them have a boundary.
    """
    columns = comparison.columns
    heads = "".join(f"<th>{html.escape(visible(str(column)))}</th>" for column in columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{_spans(cell, comparison.constituents)}</td>" for cell in row) + "</tr>"
        for row in _rows([column.tokens for column in columns])
    )
    ratio = "" if comparison.ratio is None else f"<p>{comparison.ratio:.2f} stock tokens to one.</p>\n"
    title = html.escape(visible(" and ".join(column.name for column in columns)))
    return _PAGE.format(title=title, heads=heads, rows=rows, ratio=ratio)


def _rows(columns: Sequence[Sequence[Token]]) -> list[list[Sequence[Token]]]:
    """The columns cut at line ends that are boundaries in all of them, at least `_ROW` tokens of the first apart."""
    ends = [{token.end: place for place, token in enumerate(column, 1) if "\n" in token.text} for column in columns]
    done, rows = [0] * len(columns), []
    for end, place in ends[0].items():
        if place - done[0] >= _ROW and all(end in others for others in ends):
            cut = [others[end] for others in ends]
            rows.append([column[a:b] for column, a, b in zip(columns, done, cut, strict=True)])
            done = cut
    rows.append([column[start:] for column, start in zip(columns, done, strict=True)])
    return rows


def _spans(tokens: Sequence[Token], constituents: dict[int, tuple[str, ...]]) -> str:
    parts = []
    for token in tokens:
        title, name = str(token.id), "i"
        if token.is_new:
            made_of = " + ".join(f"«{visible(text)}»" for text in constituents.get(token.id, ()))
            title, name = f"{token.id}: {made_of}", "b"
        text = html.escape(visible(token.text)).replace(f"{NEW_LINE}\n", f"<s>{NEW_LINE}</s>\n")
        parts.append(f'<{name} title="{html.escape(title)}">{text}</{name}>')
    return "".join(parts)


def page_of(comparison: Comparison) -> bytes:
    """The page as bytes of a file.

    Raises:
        InputError: characters that no file can have.
    """
    try:
        return as_html(comparison).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the text has a character that UTF-8 cannot write ({error.reason}); remove it") from None


_PAGE = """<!DOCTYPE html>
<html lang="ru">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --page: #fff; --ink: #222; --one: #e8e8ee; --two: #d3d3de; --new: #b9ecc0;
  --new-two: #93d9a0; --line: #999; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #17181c; --ink: #e4e4e8; --one: #2c2d36; --two: #3b3d4a; --new: #1f5a31; --new-two: #2b7542;
    --line: #777; }}
}}
body {{ margin: 1.5rem auto; padding: 0 1rem; max-width: 90rem; background: var(--page); color: var(--ink);
  font: 16px/1.7 system-ui, sans-serif; }}
table {{ width: 100%; table-layout: fixed; border-collapse: collapse; }}
th {{ text-align: left; font-weight: 600; position: sticky; top: 0; background: var(--page); }}
th, td {{ padding: .3rem .7rem; vertical-align: top; }}
td {{ white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }}
tr {{ content-visibility: auto; }}
i, b {{ font-style: normal; border-radius: .2em; padding: .1em 0; background: var(--one); }}
i:nth-child(even) {{ background: var(--two); }}
b {{ font-weight: 650; background: var(--new); }}
b:nth-child(even) {{ background: var(--new-two); }}
s {{ text-decoration: none; color: var(--line); }}
</style>
</head>
<body>
{ratio}<table>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p><b>New units</b> <i>stock tokens</i>; the tooltip has the id and the stock tokens of a unit.</p>
</body>
</html>
"""
