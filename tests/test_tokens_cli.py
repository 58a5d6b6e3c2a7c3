"""`hypertok tokens` and `hypertok export` as a person meets them: pipe, JSON, page, files, messages."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from conftest import SENTENCES, stock_folder
from lxml import html
from proofs import resealed
from rich.console import Console
from typer.testing import CliRunner, Result

from hypertok.cli.export import export
from hypertok.cli.tokens import tokens
from hypertok.errors import ArtifactError, InputError
from hypertok.tokenizer.export_gguf import GgufExport
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import DELTA
from hypertok.tokenizer.side_by_side import as_html, compare, piped, rendered, visible
from hypertok.tokenizer.stock import Stock

TEXT = "Весной в Москве пили кислород, что странно.\nИ <b>&amp;</b> 🙂"
NASTY = "a\"b'<script>alert(1)</script>\x1b[31m\0\u202e\x9b{title}\n\n%s & &lt; \ufffe"

app = typer.Typer()
app.command("tokens")(tokens)
app.command("export")(export)


@pytest.fixture(scope="module")
def qwen(extended_folder: Callable[..., Path]) -> Path:
    return extended_folder("qwen3")


@pytest.fixture(scope="module")
def small(sound_extension: Path, small_stock: Path) -> tuple[HyperTokenizer, Stock]:
    """A small extended tokenizer and its stock, for what does not depend on the vocabulary."""
    return HyperTokenizer.from_pretrained(sound_extension), Stock.load(small_stock)


@pytest.fixture(scope="module")
def llama(extended_folder: Callable[..., Path]) -> Path:
    return extended_folder("llama2")


def hypertok(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), input=stdin)


def ok(*arguments: object, stdin: bytes = b"") -> Result:
    result = hypertok(*arguments, stdin=stdin)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def test_a_pipe_gets_tokens_between_bars(qwen: Path) -> None:
    lines = ok("tokens", qwen, "Весной в Москве", "--against", stock_folder("qwen3")).stdout.splitlines()
    before, after = lines[1], lines[4]
    assert before.replace("|", "") == after.replace("|", "") == "Весной в Москве"
    assert after.endswith("| в Москве")
    assert after.count("|") < before.count("|")
    assert lines[3].startswith("qwen3-notes: ")
    assert "(1 new units)" in lines[3]
    ratio = (before.count("|") + 1) / (after.count("|") + 1)
    assert lines[-1] == f"{ratio:.2f} stock tokens to one"
    assert "\x1b" not in "".join(lines)


def test_without_a_stock_tokenizer_there_is_one_segmentation(qwen: Path) -> None:
    lines = ok("tokens", qwen, TEXT).stdout.splitlines()
    assert "".join(lines[1:]).replace("|", "") == TEXT.replace("\n", "⏎")
    assert len(lines) == 3


@pytest.mark.parametrize("folder", ["qwen", "llama"])
def test_json_adds_up(folder: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(folder)
    stock = stock_folder("qwen3" if folder == "qwen" else "llama2")
    found = json.loads(ok("tokens", path, TEXT, "--against", stock, "--json").stdout)
    for column in (found["extended"], found["stock"]):
        assert column["text"] == TEXT
        assert column["count"] == len(column["tokens"])
        assert column["new"] == sum(token["is_new"] for token in column["tokens"])
        assert column["characters_per_token"] == round(len(TEXT) / column["count"], 4)
        whole = [token for token in column["tokens"] if "\\x" not in token["text"]]
        assert all(TEXT[token["start"] : token["end"]] == token["text"] for token in whole)
    assert found["ratio"] == round(found["stock"]["count"] / found["extended"]["count"], 4)
    assert found["ratio"] > 1
    new = {str(token["id"]): token["text"] for token in found["extended"]["tokens"] if token["is_new"]}
    assert {number: "".join(parts) for number, parts in found["constituents"].items()} == new
    assert json.loads(ok("tokens", path, TEXT, "--json").stdout)["stock"] is None


def test_text_from_standard_input_and_from_a_file(qwen: Path, tmp_path: Path) -> None:
    file = tmp_path / "note.md"
    file.write_bytes(TEXT.encode())
    expected = ok("tokens", qwen, TEXT, "--json").stdout
    assert ok("tokens", qwen, "-", "--json", stdin=TEXT.encode()).stdout == expected
    assert ok("tokens", qwen, "--file", file, "--json").stdout == expected
    for wrong in (("tokens", qwen), ("tokens", qwen, "a", "--file", file)):
        assert isinstance(hypertok(*wrong).exception, InputError)
    file.write_bytes(b"\xff")
    assert "UTF-8" in str(hypertok("tokens", qwen, "--file", file).exception)


def test_the_page_does_not_replace_the_text(sound_extension: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text(TEXT, encoding="utf-8")
    result = hypertok("tokens", sound_extension, "--file", note, "--html", tmp_path / "." / "note.md")
    assert isinstance(result.exception, InputError)
    assert "note.md: is the file that is read; name another output" in str(result.exception)
    assert note.read_text(encoding="utf-8") == TEXT


def page(text: str) -> html.HtmlElement:
    """The page parsed strictly: an unclosed or unknown element is an error."""
    parser = html.HTMLParser(encoding="utf-8", recover=False)
    return html.document_fromstring(text.encode(), parser=parser)


@pytest.mark.parametrize("text", [TEXT, NASTY, SENTENCES * 3, "", "\n" * 200])
def test_the_page_is_whole_and_needs_nothing_else(
    sound_extension: Path, small_stock: Path, small: tuple[HyperTokenizer, Stock], text: str, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    ok("tokens", sound_extension, "--against", small_stock, "--html", file, "-", stdin=text.encode())
    content = file.read_text(encoding="utf-8")
    tree = page(content)
    assert not re.search(r"https?:|//|url\(|@import|\bsrc=|\bhref=|<script|<link", content.replace("</script>", ""))
    assert "prefers-color-scheme: dark" in content
    assert not {element.tag for element in tree.iter()} & {"script", "link", "img", "iframe", "object"}
    rows = tree.xpath("//tbody/tr")
    tokenizer, _ = small
    found = compare(text, *small)
    for column, segmentation in enumerate(found.columns, 1):
        shown = "".join("".join(row.xpath(f"td[{column}]")[0].itertext()) for row in rows)
        assert shown == "".join(visible(token.text) for token in segmentation.tokens)
    cells = [cell for row in rows for cell in row.xpath("td[2]/b | td[2]/i")]
    ids = [int(cell.get("title").split(":")[0]) for cell in cells]
    assert ids == tokenizer.encode(text)
    assert all((cell.tag == "b") == (number in tokenizer.new_ids) for cell, number in zip(cells, ids, strict=True))
    for cell in cells:
        if cell.tag == "b":
            parts = re.findall("«(.*?)»", cell.get("title"))
            assert "".join(parts) == "".join(cell.itertext())


def test_a_long_page_has_rows_that_keep_the_columns_together(small: tuple[HyperTokenizer, Stock]) -> None:
    text = SENTENCES * 20
    tree = page(as_html(compare(text, *small)))
    rows = tree.xpath("//tbody/tr")
    assert len(rows) > 100
    for row in rows:
        left, right = ("".join(cell.itertext()) for cell in row.xpath("td"))
        assert left == right


@pytest.mark.parametrize("width", [60, 120])
def test_a_terminal_gets_colours_and_no_foreign_commands(small: tuple[HyperTokenizer, Stock], width: int) -> None:
    console = Console(
        force_terminal=True, width=width, color_system="truecolor", record=True, file=io.StringIO(), no_color=False
    )
    text = f"{TEXT}\n{NASTY}"
    found = compare(text, *small)
    console.print(rendered(found, width))
    coloured = console.export_text(styles=True, clear=False)
    assert "\x1b[1;" in coloured
    assert "\x1b[31m" not in coloured
    assert "\0" not in coloured
    assert f"{found.ratio:.2f} stock tokens to one" in console.export_text()


def test_nothing_in_a_text_reaches_the_terminal_as_a_command(small: tuple[HyperTokenizer, Stock]) -> None:
    out = piped(compare(NASTY, small[0]))
    assert not re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]", out)
    assert visible("a\t\n\x1b\x7f\x9b") == "a\t⏎\n␛␡⟨U+009B⟩"
    assert visible("пи\u00adши\u200f") == "пи⟨U+00AD⟩ши⟨U+200F⟩", "what is not seen, as where names are told"


def test_a_folder_that_is_no_artefact_is_refused(tmp_path: Path) -> None:
    for command in (("tokens", stock_folder("qwen3"), "a"), ("export", stock_folder("qwen3"), "--to", "tiktoken")):
        assert isinstance(hypertok(*command).exception, ArtifactError | InputError)
    assert isinstance(hypertok("tokens", tmp_path / "no", "a").exception, ArtifactError)


def test_page_and_json_do_not_share_standard_output(qwen: Path) -> None:
    result = hypertok("tokens", qwen, TEXT, "--html", "-", "--json")
    assert "name a file for the page" in str(result.exception)
    assert result.stdout == ""


def test_export_to_tiktoken_says_what_is_known(qwen: Path, tmp_path: Path) -> None:
    pytest.importorskip("tiktoken")
    from hypertok.tokenizer.export_tiktoken import load_tiktoken

    file = tmp_path / "notes.tiktoken"
    result = ok("export", qwen, "--to", "tiktoken", "-o", file)
    assert str(file) in result.stdout
    assert str(file.with_suffix(".json")) in result.stdout
    assert "NFC" in result.stderr
    assert "parity" in result.stderr
    found = json.loads(ok("export", qwen, "--to", "tiktoken", "-o", file, "--force", "--json").stdout)
    assert found["to"] == "tiktoken"
    assert found["files"] == [str(file), str(file.with_suffix(".json"))]
    assert found["units"] == len(HyperTokenizer.from_pretrained(qwen).new_ids)
    assert {"merges_out_of_order", "pairs_without_merge", "parity"} <= found.keys()
    text = "Весной в Москве пили кислород."
    assert load_tiktoken(file).encode(text) == HyperTokenizer.from_pretrained(qwen).encode(text)


def test_export_to_sentencepiece_says_what_is_known(llama: Path, tmp_path: Path) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    file = tmp_path / "notes.model"
    found = json.loads(ok("export", llama, "--to", "sentencepiece", "-o", file, "--json").stdout)
    assert found["files"] == [str(file)]
    text = "Весной в Москве пили кислород."
    ids = sentencepiece.SentencePieceProcessor(model_file=str(file)).encode(text)
    assert ids == HyperTokenizer.from_pretrained(llama).encode(text)


def test_export_to_gguf_counts_units_that_reach_over_a_word(
    sound_extension: Path, extended_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not those that end inside a letter; and of symbol text, which is cut at any mark, none are counted."""

    def told(folder: Path) -> dict[str, Any]:
        (tmp_path / "x.gguf").touch()
        arguments = ("--model", tmp_path / "stock.gguf", "-o", tmp_path / "x.gguf", "--force", "--json")
        found: dict[str, Any] = json.loads(ok("export", folder, "--to", "gguf", *arguments).stdout)
        return found

    none = GgufExport(tmp_path / "x.gguf", 0, 0, (), (), ())
    monkeypatch.setattr("hypertok.tokenizer.export_gguf.export_gguf", lambda *_, **__: none)
    phrases = told(sound_extension)["phrase_units"]
    delta = pl.read_parquet(sound_extension / DELTA)
    text = pl.col("text").str.contains(r"\w[ ,]")
    assert 0 < delta.filter(text).height <= phrases
    shutil.copytree(sound_extension, tmp_path / "parts")
    parts = pl.when(text).then(None).otherwise("text").alias("text")
    delta.with_columns(parts).write_parquet(tmp_path / "parts" / DELTA)
    assert told(resealed(tmp_path / "parts"))["phrase_units"] == phrases - delta.filter(text).height
    symbols = told(extended_folder("qwen3", "symbols"))
    assert "phrase_units" not in symbols
    assert not any("comma" in line or "inside words" in line for line in symbols["parity"])


def test_weights_that_an_export_reads_are_checked(sound_extension: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    shutil.copytree(sound_extension, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"rows")
    resealed(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"mice")
    made = hypertok("export", tmp_path / "model", "--to", "gguf", "--model", "x.gguf", "-o", tmp_path / "x.gguf")
    assert isinstance(made.exception, ArtifactError)
    assert "model.safetensors: changed or damaged" in str(made.exception)


@pytest.mark.parametrize("name", ["notes.tiktoken", "notes.json"])
def test_an_export_replaces_no_file_unasked(qwen: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    error = hypertok("export", qwen, "--to", "tiktoken", "-o", tmp_path / "notes.tiktoken").exception
    assert isinstance(error, InputError)
    assert f"{name} exists: name another file, or give --force" in str(error)
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_exports_that_cannot_be_are_refused_and_write_nothing(
    qwen: Path, llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command, named in (
        (("export", qwen, "--to", "gguf"), "--model"),
        (("export", qwen, "--to", "tiktoken", "--model", "x.gguf"), "--model"),
        (("export", qwen, "--to", "gguf", "--stock-model", "x.model"), "--stock-model"),
        (("export", qwen, "--to", "tiktoken", "-o", qwen / "x.tiktoken"), "outside"),
        (("export", qwen, "--to", "tiktoken", "-o", tmp_path / "no" / "x.tiktoken"), "not there"),
        (("export", qwen, "--to", "sentencepiece"), "byte-level"),
        (("export", llama, "--to", "tiktoken"), "SentencePiece"),
        (("export", qwen, "--to", "tiktoken", "-o", tmp_path), "is a folder"),
        (("export", qwen, "--to", "tiktoken", "-o", "-"), "standard output"),
    ):
        error = hypertok(*command).exception
        assert isinstance(error, InputError)
        assert named in str(error)
    assert list(tmp_path.iterdir()) == []
    assert not (qwen / "x.tiktoken").exists()
    assert hypertok("export", qwen, "--to", "onnx").exit_code == 2
