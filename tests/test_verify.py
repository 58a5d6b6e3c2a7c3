"""The proof is green on sound extensions, and what is no such extension is refused before it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import SENTENCES, stock_folder, stock_of
from proofs import artefact, assert_sound, spoiled
from typer.testing import CliRunner

from hypertok.artifact import Manifest, seal
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.lexicon import KIND as LEXICON
from hypertok.tokenizer.delta import SCHEMA
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.verify import verify
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_tables import delta_line
from hypertok.vocabulary.units import Span

#: Qwen3 is proved in test_extend.py; GPT-4o's pattern is of the same kind (ids: test_pretokenizer.py, test_folder.py).
PROVED = ("gemma3", "llama3_1", "deepseek_v3", "llama2")


@pytest.mark.usefixtures("quick_proof")
@pytest.mark.parametrize("span", ["word", "phrase"])
def test_a_sound_extension_passes(small_stock: Path, tmp_path: Path, span: Span) -> None:
    told = []
    report = verify(artefact(tmp_path / "new", Stock.load(small_stock), span), small_stock, progress=told.append)
    assert_sound(report)
    assert tuple(told) == report.lines
    skipped = [line for line in report.lines if line.skipped]
    assert skipped
    assert all("transformers" in line.detail and not line.passed for line in skipped)
    assert json.loads(report.to_json())["passed"] is True
    assert {"units, alone", "units, in a sentence"} <= {line.name for line in report.lines if line.checked > 50}


@pytest.mark.slow
@pytest.mark.usefixtures("fewer_texts")
@pytest.mark.parametrize("name", PROVED)
def test_real_tokenizers_pass(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "one.txt").write_text(SENTENCES)
    report = verify(artefact(tmp_path / "new", stock_of(name), "phrase"), stock_folder(name), texts=tmp_path / "texts")
    assert_sound(report)
    assert not [line for line in report.lines if line.skipped]
    assert "1 files" in next(line.detail for line in report.lines if "never more" in line.name)


def test_a_unit_that_alone_would_be_looked_up_is_no_error() -> None:
    """Llama 3.1 has " позволя" and makes it only of a whole piece; inside of " позволял" it merges other tokens."""
    stock = stock_of("llama3_1")
    text = ", позволя"
    comma, whole = stock.segment([text])[0]
    middle = stock.segment([" позволял"])[0][:-1]
    tokens = stock.token_of
    assert "".join(tokens[one] for one in middle) == tokens[whole]
    assert len(middle) == 3
    row = {
        "id": stock.first_free_id, "token": stock.alphabet_of(text), "text": text, "constituents": [comma, *middle],
        "lengths": [1, *(len(stock.text_of(tokens[one]) or "") for one in middle)],
        "concepts": [], "inflections": [], "count": 1, "saved": 2,
    }  # fmt: skip
    data = {**stock.data, "model": {**stock.data["model"], "vocab": {**stock.vocabulary, row["token"]: row["id"]}}}
    manifest = Manifest(kind="tokenizer", schema_version=1, files={}, facts={"units": 1, "first_id": row["id"]})
    pair = Extension(Path("none"), manifest, stock, data, pl.DataFrame([row], schema=SCHEMA), None)
    assert delta_line(pair).passed, delta_line(pair)


def test_another_stock_tokenizer_is_refused(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    shutil.copytree(small_stock, tmp_path / "stock")
    file = tmp_path / "stock" / "tokenizer.json"
    file.write_text(file.read_text().replace("<note>", "<mark>"))
    with pytest.raises(ArtifactError, match="changed since"):
        verify(sound_extension, tmp_path / "stock")


def test_a_foreign_lexicon_is_refused(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    seal(tmp_path, LEXICON)
    with pytest.raises(ArtifactError, match="another lexicon"):
        verify(sound_extension, small_stock, lexicon=tmp_path)


def test_missing_texts_are_refused_at_once(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such"):
        verify(sound_extension, small_stock, texts=tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="no UTF-8"):
        verify(sound_extension, small_stock, texts=tmp_path)


@pytest.mark.usefixtures("quick_proof")
def test_an_error_of_the_machine_is_no_proof_of_anything(
    small_stock: Path, sound_extension: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: OSError) -> Callable[..., object]:
        def lines(*_: object) -> object:
            raise error

        return lines

    monkeypatch.setattr("hypertok.tokenizer.verify.auto_lines", raising(OSError("Can't load tokenizer")))
    assert not verify(sound_extension, small_stock).passed
    full = OSError(28, "No space left on device")
    monkeypatch.setattr("hypertok.tokenizer.verify.auto_lines", raising(full))
    with pytest.raises(OSError, match="No space left"):
        verify(sound_extension, small_stock)


@pytest.mark.usefixtures("quick_proof")
def test_command(small_stock: Path, sound_extension: Path, tmp_path: Path) -> None:
    import typer

    from hypertok.cli.verify import verify as command

    app = typer.Typer()
    app.command()(command)
    good = CliRunner().invoke(app, [str(sound_extension), "--against", str(small_stock)])
    assert good.exit_code == 0, good.output
    assert "all is proved" in good.stdout
    assert "skipped" in good.stdout
    texts = tmp_path / "texts"
    (texts / ".git").mkdir(parents=True)
    (texts / "good.txt").write_text("Весной вода в реке поднялась.", encoding="utf-8")
    for name in ("old.txt", ".git/index"):
        (texts / name).write_bytes("Весной".encode("cp1251"))
    told = CliRunner().invoke(app, [str(sound_extension), "--against", str(small_stock), "--texts", str(texts)])
    assert told.exit_code == 3, told.output
    assert "all is proved" in told.stdout
    lines = [line for line in told.stderr.splitlines() if line.startswith("left out: ")]
    assert lines == [f"left out: {texts / 'old.txt'}: not UTF-8"]
    bad = spoiled(sound_extension, tmp_path / "bad", lambda data: data["model"]["merges"].pop(0))
    result = CliRunner().invoke(app, [str(bad), "--against", str(small_stock), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["passed"] is False
