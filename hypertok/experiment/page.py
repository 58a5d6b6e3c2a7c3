"""A report as a list of blocks, written as Markdown and as one HTML page that fetches nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 to 3."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Plain text; `strong` for what must not be overlooked."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first column holds names, cells that begin with "met" or "missed" are coloured."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot:
    """A picture: a name for its file, what it shows, and the SVG."""

    name: str
    caption: str
    svg: str


Block = Heading | Paragraph | Table | Plot
#: What begins or ends markup in Markdown; an underscore inside a word does not, nor a bracket that no address follows.
_MARKUP = re.compile(r"[\\`*$~]|(?<!\w)_|_(?!\w)|(?<=\])\(")
_STYLE = """
:root { color-scheme: light; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24; background: #fff;
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #d8dee4; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #8c959f; vertical-align: bottom; }
td { white-space: nowrap; } td.long { white-space: normal; }
.text, .met, .missed { text-align: left; }
td.met { color: #116329; } td.missed { color: #a40e26; font-weight: 600; }
p.strong { border-left: 4px solid #bf8700; padding: .4rem .8rem; background: #fff8e5; }
figure { margin: 1.2rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .87rem; color: #57606a; }
"""


def markdown(blocks: Iterable[Block]) -> str:
    """The report for a repository; plots are files beside it.

    >>> print(markdown([Heading("Quality"), Table(["arm", "bits"], [["stock", "1.6"]])]), end="")
    ## Quality
    <BLANKLINE>
    | arm | bits |
    |---|--:|
    | stock | 1.6 |
    """
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.level} {_literal(block.text)}")
        elif isinstance(block, Paragraph):
            parts.append(f"**{block.text}**" if block.strong else block.text)
        elif isinstance(block, Plot):
            parts.append(f"![{block.caption}]({block.name}.svg)\n\n{block.caption}")
        else:
            lines = [block.head, *block.rows]
            cells = ["| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines]
            parts.append("\n".join([cells[0], "|---|" + "--:|" * (len(block.head) - 1), *cells[1:]]))
    return "\n\n".join(parts) + "\n"


def page(title: str, blocks: Iterable[Block]) -> str:
    """The report as one page: styles and pictures are in it, and it may fetch nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(_element(block) for block in blocks)
        + "\n</body>\n</html>\n"
    )


def _element(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{html.escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        kind = ' class="strong"' if block.strong else ""
        return f"<p{kind}>{html.escape(block.text)}</p>"
    if isinstance(block, Plot):
        return f"<figure>\n{block.svg}\n<figcaption>{html.escape(block.caption)}</figcaption>\n</figure>"
    textual = [number == 0 or _is_text([row[number] for row in block.rows]) for number in range(len(block.head))]
    lines = [("th", block.head), *(("td", row) for row in block.rows)]
    rows = "\n".join(
        "<tr>" + "".join(_table_cell(tag, *pair) for pair in zip(line, textual, strict=True)) + "</tr>"
        for tag, line in lines
    )
    return f'<div class="wide"><table>\n{rows}\n</table></div>'


def _is_text(column: Sequence[str]) -> bool:
    """Whether most cells of a column are words; "untrained" among figures makes no text of them."""
    filled = [cell for cell in column if cell]
    return sum(cell.lstrip("+-")[:1].isdigit() for cell in filled) * 2 < len(filled)


def _table_cell(tag: str, cell: str, is_text: bool) -> str:
    classes = [name for name in ("missed", "met") if cell.startswith(name)] or ["text"] * is_text
    classes += ["long"] * (len(cell) > 60)
    attribute = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{attribute}>{html.escape(cell)}</{tag}>"


def _cell(text: str) -> str:
    return _literal(text).replace("|", "\\|")


def _literal(text: str) -> str:
    """In one line, and as it is: what a model writes is no markup, and no picture to fetch."""
    text = text.replace("\r", "").replace("\n", " ↵ ").replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", text)
