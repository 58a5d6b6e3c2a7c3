"""`measure_model` and `hypertok measure`: one typed result, the same from a folder and from a live model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import SENTENCES
from measured_models import tiny_folder
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from hypertok.cli.main import app
from hypertok.errors import InputError
from hypertok.measure.measured import Measured
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.measure.passages import sha256_of_texts

TEXTS = [SENTENCES, SENTENCES[::-1], SENTENCES[600:]]


@pytest.fixture(scope="module")
def model(sound_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("measured") / "model", sound_extension)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("held-out")
    for number, text in enumerate(TEXTS):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text('{"chosen": "Кот спит.", "rejected": "Кот спят."}\n', encoding="utf-8")
    return file


def hypertok(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_everything_is_measured_and_kept(model: Path, pairs: Path) -> None:
    options = MeasureOptions(
        pairs=pairs, device="cpu", samples=2, new_tokens=4, prefill_characters=500,
        speed_characters=200, batches=(1,), cards=(1.5, 24.0),
    )  # fmt: skip
    told: list[tuple[str, int, int]] = []
    found = measure_model(model, TEXTS, options, progress=lambda *one: told.append(one))
    assert found.skipped == {}
    assert (found.architecture, found.dtype, found.device) == ("LlamaForCausalLM", "float32", "cpu")
    assert found.quality is not None
    assert found.bits_per_character is not None
    assert found.bits_per_character.low <= found.quality.bits_per_character <= found.bits_per_character.high
    assert found.bits_per_character.value == pytest.approx(found.quality.bits_per_character)
    assert found.characters == found.quality.characters == sum(map(len, TEXTS))
    assert found.predicted is not None
    assert found.prefill is not None
    assert found.prefill.cache == found.predicted.cache_bytes(found.prefill.tokens)
    assert found.predicted.new_rows == found.new_units * 16 * 2 * 4
    assert [one.card_gib for one in found.longest] == [1.5, 24.0]
    assert found.emission is not None
    assert found.copied is not None
    assert found.pairs is not None
    assert (len(found.speed), found.emission.passages, found.copied.passages, found.pairs.pairs) == (1, 2, 2, 1)
    assert set(found.versions) == {"hypertok", "torch", "transformers"}
    assert Measured.model_validate_json(found.to_json()) == found
    assert {part for part, _, _ in told} == {"memory", "quality", "speed", "emission", "copy", "pairs"}


def test_the_hash_covers_the_borders_of_texts() -> None:
    assert sha256_of_texts(["аб", "в"]) != sha256_of_texts(["а", "бв"])


def test_what_cannot_be_measured_is_told_or_refused(small_stock: Path, tmp_path: Path) -> None:
    stock = tiny_folder(tmp_path / "stock", small_stock)
    options = MeasureOptions(device="cpu", new_tokens=2, batches=(1,), samples=1)
    found = measure_model(stock, ["Короткий текст."], options)
    assert set(found.skipped) == {"emission", "copy"}
    assert "no new units" in found.skipped["emission"]
    assert found.bits_per_character is None, "a single document has no interval"
    with pytest.raises(InputError, match="no new units"):
        measure_model(stock, TEXTS, MeasureOptions(parts=("emission",)))
    with pytest.raises(InputError, match="no file of them is named"):
        measure_model(stock, TEXTS, MeasureOptions(parts=("pairs",)))
    with pytest.raises(InputError, match=r"pairs\.jsonl: minimal pairs are not among .* \(quality\); add pairs"):
        measure_model(stock, TEXTS, MeasureOptions(parts=("quality",), pairs=tmp_path / "pairs.jsonl"))
    with pytest.raises(InputError, match="no text to measure on"):
        measure_model(stock, ["", ""])
    for path in (str(tmp_path), tmp_path):
        with pytest.raises(InputError, match="is one text or a path; give a list of documents"):
            measure_model(stock, path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"character 1 .*U\+D800"):
        measure_model(stock, ["Кот спит.", "а\ud800"])
    with pytest.raises(ValidationError, match="batches"):
        MeasureOptions(batches=(0,))
    with pytest.raises(ValidationError, match="extra"):
        MeasureOptions(contxt=3)  # type: ignore[call-arg]


def test_the_command_prints_figures(model: Path, held_out: Path) -> None:
    result = hypertok("measure", model, "--text", held_out, "--only", "quality", "--context", 64)
    assert result.exit_code == 0, (result.output, result.exception)
    lines = dict(line.strip().split("  ", 1) for line in result.stdout.splitlines() if "  " in line.strip())
    assert "3 documents" in lines["texts"]
    assert "does not compare across tokenizers" in lines["perplexity per token"]
    options = MeasureOptions(parts=("quality",), context=64)
    expected = measure_model(model, TEXTS, options).quality
    assert expected is not None
    assert lines["bits per character"].strip().startswith(f"{expected.bits_per_character:.4f} (95 %")


def test_the_command_prints_measured_beside_predicted_memory(model: Path, held_out: Path) -> None:
    result = hypertok("measure", model, "--text", held_out, "--only", "memory")
    assert result.exit_code == 0, (result.output, result.exception)
    lines = dict(line.strip().split("  ", 1) for line in result.stdout.splitlines() if "  " in line.strip())
    assert lines["longest text, 24 GiB, 1 free"].strip().endswith("characters (limit: positions)")
    measured = lines["KV cache after it"].strip().split(" ")[0]
    assert lines["KV cache after it"].strip() == f"{measured} MiB (predicted: {measured} MiB)"


def test_the_command_prints_json(model: Path, held_out: Path, pairs: Path) -> None:
    arguments = ("--only", "quality,pairs", "--pairs", pairs, "--json", "--characters", 1000)
    result = hypertok("measure", model, "--text", held_out / "0.txt", *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    found = Measured.model_validate(json.loads(result.stdout))
    assert found.characters == 1000
    assert found.options.parts == ("quality", "pairs")
    assert found.pairs is not None
    assert found.prefill is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "quality,taste"), "--only: 'taste' cannot be used"),
        (("--context", 1), "--context: 1 cannot be used"),
        (("--dtype", "int3"), "--dtype: 'int3' cannot be used"),
        (("--only", "quality,pairs"), "--pairs FILE"),
        (("--pairs", "nowhere.jsonl"), "nowhere.jsonl: cannot be read"),
    ],
)
def test_wrong_options_are_named(model: Path, held_out: Path, arguments: tuple[object, ...], message: str) -> None:
    result = hypertok("measure", model, "--text", held_out, *arguments)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert "bits per character" not in result.output, "before anything is measured"


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_the_extra_the_remedy_is_named(missing: str, model: Path, held_out: Path) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['hypertok', 'measure', {str(model)!r}, "
        f"'--text', {str(held_out)!r}]; from hypertok.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f'models need {missing}, not installed here; install with: pip install "hypertok-concepts[train]"' in (
        " ".join(done.stderr.split())
    )
