"""`extend` from end to end: real stock tokenizers, a real lexicon; the command line; and what must be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder
from proofs import assert_sound
from tokenizers import Tokenizer
from typer.testing import CliRunner

from hypertok.artifact import read_manifest
from hypertok.cli.main import app
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.measure.curve import measure_curve, parse_rows
from hypertok.tokenizer.extend import ExtendOptions, extend
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import KIND
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.verify import verify
from hypertok.vocabulary.units import TooFewUnits

pytestmark = pytest.mark.usefixtures("common_words")
ROWS = 500


@pytest.fixture(scope="module")
def qwen(vault_lexicon: Lexicon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extend") / "qwen3-notes"
    extend(stock_folder("qwen3"), vault_lexicon.folder, folder, ExtendOptions(rows=ROWS))
    return folder


def test_the_road_of_the_readme(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    runner = CliRunner()
    stock, folder = str(stock_folder("llama2")), str(tmp_path / "notes")
    made = runner.invoke(app, ["extend", stock, str(vault_lexicon.folder), "-o", folder, "--rows", "300", "--json"])
    assert made.exit_code == 0, made.output
    facts = json.loads(made.stdout)["facts"]
    assert facts["units"] == 300
    assert facts["first_id"] == 32_000
    proved = runner.invoke(app, ["verify", folder, "--against", stock, "--json"])
    assert proved.exit_code == 0, proved.output


@pytest.mark.usefixtures("fewer_texts")  # all of them are tried on the road of the README
@pytest.mark.parametrize("options", [ExtendOptions(rows=300, span="word"), ExtendOptions(rows=300, text="symbols")])
def test_other_kinds_are_proved_too(
    vault_lexicon: Lexicon, small_stock: Path, tmp_path: Path, options: ExtendOptions
) -> None:
    extend(small_stock, vault_lexicon.folder, tmp_path / "out", options)
    report = verify(tmp_path / "out", small_stock)
    assert report.passed, [line for line in report.lines if not line.passed]


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_texts")
def test_symbols_are_proved_where_a_hyphen_serves_as_dash(tmp_path: Path) -> None:
    """« - » between symbols keeps its spaces; as a unit it would be in all text."""
    from hypertok.lexicon.build import build_lexicon

    (tmp_path / "notes").mkdir()
    note = "Печень - орган, сон - покой. Хлеб - еда, вода - жизнь. Дом - стены, сад - тень.\n"
    (tmp_path / "notes" / "а.txt").write_text((note + SENTENCES) * 20, encoding="utf-8")
    build_lexicon(tmp_path / "notes", tmp_path / "x.lexicon", workers=1)
    extend(stock_folder("llama2"), tmp_path / "x.lexicon", tmp_path / "out", ExtendOptions(rows=120, text="symbols"))
    report = verify(tmp_path / "out", stock_folder("llama2"))
    assert report.passed, [line for line in report.lines if not line.passed]


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_texts")
def test_replace_unused_does_not_grow_and_what_goes_is_told(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    stock = Stock.load(stock_folder("qwen3"))
    manifest = extend(
        stock.path, vault_lexicon.folder, tmp_path / "out", ExtendOptions(rows=300, replace_unused=("ru", "en"))
    )
    assert manifest.facts["rows"] == -(-stock.first_free_id // 64) * 64
    given_up = pl.read_parquet(tmp_path / "out" / "given_up.parquet")
    assert sum(manifest.facts["given_up"].values()) == given_up.height == 300
    report = verify(tmp_path / "out", stock.path)
    assert_sound(report)
    details = {line.name: line.detail for line in report.lines}
    assert "given up are exempt" in details["stock ids in tokenizer.json"]
    assert "given up are exempt" in details["texts without Cyrillic: the same ids"]
    assert "tokens given up" in details


def test_delta_says_what_units_mean(qwen: Path, vault_lexicon: Lexicon) -> None:
    delta = pl.read_parquet(qwen / "delta.parquet")
    stock = Stock.load(stock_folder("qwen3"))
    assert delta["id"].to_list() == list(range(stock.first_free_id, stock.first_free_id + ROWS))
    for row in delta.drop_nulls("text").iter_rows(named=True):
        assert sum(row["lengths"]) == len(row["text"])
        assert row["saved"] == row["count"] * (len(row["constituents"]) - 1)
    book, named = vault_lexicon.book, 0
    for text, concepts in delta.drop_nulls("text").select("text", "concepts").iter_rows():
        row = book.main_row(text[1:].lower()) if text[0] == " " and " " not in text[1:] else None
        if row is not None:
            assert concepts == [book.concept_at(row)], text
            named += 1
    assert named > 20


def test_explain(qwen: Path) -> None:
    tokenizer = HyperTokenizer.from_pretrained(qwen)
    text = "Цикл Кребса происходит в митохондриях."
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert any(token.is_new for token in tokenizer.tokens(text))
    expected = [one.id for written in ("клетки", " клетки") for one in tokenizer.tokens(written)]
    assert [one.id for one in tokenizer.explain("клетки")] == expected


def test_same_input_same_bytes(qwen: Path, vault_lexicon: Lexicon, tmp_path: Path) -> None:
    extend(stock_folder("qwen3"), vault_lexicon.folder, tmp_path / "again", ExtendOptions(rows=ROWS))
    for name in ("tokenizer.json", "delta.parquet", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (qwen / name).read_bytes(), name


def test_a_lexicon_without_runs_is_refused(small_corpus: Path, tmp_path: Path) -> None:
    from hypertok.lexicon.build import build_lexicon
    from hypertok.lexicon.recipe import Recipe

    build_lexicon(small_corpus, tmp_path / "bare.lexicon", Recipe(statistics=False), workers=1)
    with pytest.raises(ArtifactError, match="with statistics"):
        extend(stock_folder("qwen3"), tmp_path / "bare.lexicon", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_stock_folder_is_never_overwritten(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    stock = tmp_path / "stock"
    shutil.copytree(stock_folder("llama2"), stock)
    with pytest.raises(ArtifactError, match="name another output"):
        extend(stock, vault_lexicon.folder, stock, ExtendOptions(rows=10))
    assert Tokenizer.from_file(str(stock / "tokenizer.json")).get_vocab_size() == 32_000


def test_an_artefact_of_another_kind_is_not_replaced_and_said_before_work(
    vault_lexicon: Lexicon, tmp_path: Path
) -> None:
    other = tmp_path / "other.lexicon"
    shutil.copytree(vault_lexicon.folder, other)
    told: list[str] = []
    with pytest.raises(ArtifactError, match="of kind 'lexicon', and only 'tokenizer' is replaced"):
        extend(stock_folder("qwen3"), vault_lexicon.folder, other, progress=lambda step, *_: told.append(step))
    assert not told
    assert Lexicon.load(other).sha256 == vault_lexicon.sha256


def test_symbols_go_with_concept_units_only(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave one or the other out"):
        extend(
            stock_folder("qwen3"),
            vault_lexicon.folder,
            tmp_path / "out",
            ExtendOptions(rows=300, text="symbols", units="bpe"),
        )


def stock_changed(stock: Path, folder: Path, config: dict[str, str], pattern: str = "") -> Path:
    """A copy of the stock tokenizer whose tokenizer_config.json says more, or which cuts text in another way."""
    shutil.copytree(stock, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | config))
    data = json.loads((folder / "tokenizer.json").read_bytes())
    if pattern:
        data["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = pattern
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return folder


def test_what_stock_and_options_forbid_is_said_before_units_are_learned(
    vault_lexicon: Lexicon, small_stock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for learns in ("learn_units", "learn_symbol_units"):
        monkeypatch.setattr(f"hypertok.tokenizer.extend.{learns}", None)
    unknown = stock_changed(small_stock, tmp_path / "unknown", {}, r"\w+|\W+")
    lacking = stock_changed(small_stock, tmp_path / "lacking", {"pad_token": "<pad>"})
    for stock, options, message in (
        (unknown, ExtendOptions(rows=9), "not one that hypertok knows; use --span word"),
        (unknown, ExtendOptions(rows=9, text="symbols"), "not one that hypertok knows; use --span word"),
        (lacking, ExtendOptions(rows=9), "pad_token is '<pad>', which tokenizer.json does not have"),
        (small_stock, ExtendOptions(rows=9, replace_unused=("rus",)), "'rus' is no language to keep"),
        (small_stock, ExtendOptions(rows=9_999, replace_unused=("ru",)), r"--rows \d+\), keep fewer languages"),
    ):
        with pytest.raises(InputError, match=message):
            extend(stock, vault_lexicon.folder, tmp_path / "out", options)
    (tmp_path / "held-out.txt").write_text("Клетки получают энергию.", encoding="utf-8")
    with pytest.raises(InputError, match="knows; use --span word") as refused:
        measure_curve(vault_lexicon.folder, unknown, tmp_path / "held-out.txt", [9])
    assert "--text" not in str(refused.value), "curve has no such option"


def test_without_a_number_as_many_rows_as_there_are_unused_tokens(
    vault_lexicon: Lexicon, small_stock: Path, tmp_path: Path
) -> None:
    command = ["extend", str(small_stock), str(vault_lexicon.folder), "-o", str(tmp_path / "out")]
    made = CliRunner().invoke(app, [*command, "--replace-unused", "ru,en"])
    assert made.exit_code == 0, made.output
    units = read_manifest(tmp_path / "out", KIND).facts["units"]
    assert f"there are unused tokens for {units} rows, not 32,768; all of them are taken" in made.stderr


def test_curve_rises(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    text = tmp_path / "held-out.txt"
    text.write_text("Клетки получают энергию в митохондриях. В том числе и клетки печени.\n" * 3, encoding="utf-8")
    points = measure_curve(vault_lexicon.folder, stock_folder("llama2"), text, parse_rows("100,400"))
    figures = [point.characters_per_token for point in points]
    assert [point.rows for point in points] == [0, 100, 400]
    assert figures == sorted(figures)
    assert figures[0] < figures[-1]
    assert points[-1].emitted > 0


def test_without_a_number_small_archives_give_what_they_have(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    """The number is said in the error to whoever asks for more."""
    stock, lexicon = str(stock_folder("llama2")), str(vault_lexicon.folder)
    refused = CliRunner().invoke(app, ["extend", stock, lexicon, "-o", str(tmp_path / "x"), "--rows", "32768"])
    assert isinstance(refused.exception, TooFewUnits)
    found = refused.exception.found
    assert f"ask for at most {found} (--rows {found})" in str(refused.exception)
    made = CliRunner().invoke(app, ["extend", stock, lexicon, "-o", str(tmp_path / "notes")])
    assert made.exit_code == 0, made.output
    assert f"units for {found:,} rows, not 32,768; all of them are taken" in " ".join(made.stderr.split())
    assert read_manifest(tmp_path / "notes", KIND).facts["units"] == found
    text = tmp_path / "held-out.txt"
    text.write_text("Клетки получают энергию в митохондриях.", encoding="utf-8")
    shown = CliRunner().invoke(app, ["curve", lexicon, "--tokenizer", stock, "--corpus", str(text), "--json"])
    assert shown.exit_code == 0, shown.output
    rows = [point["rows"] for point in json.loads(shown.stdout)]
    assert rows == [0, *(number for number in (1000, 2000, 4000, 8000, 16_000) if number < found), found]
