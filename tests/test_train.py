"""Training and merging from end to end, on tiny models with real tokenizers."""

from __future__ import annotations

import json
import math
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
from proofs import artefact
from safetensors.torch import load_file
from tiny_models import KINDS, put_model, tiny_model
from trained_models import QUICK, WRITTEN, Interrupt, held_out, model_folder, number_of_units, same_weights, steps
from transformers import AutoModelForCausalLM, AutoTokenizer

from hypertok.artifact import read_manifest
from hypertok.errors import ArtifactError, HypertokError, InputError
from hypertok.model.config import TRAINED
from hypertok.model.merge import merge
from hypertok.model.pair import Pair
from hypertok.model.seen import SEEN
from hypertok.model.trained import attach, open_trained
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.stock import Stock
from hypertok.training.data import make_blocks, read_texts
from hypertok.training.loss import LossModel
from hypertok.training.options import LoraOptions, TrainOptions
from hypertok.training.train import train

TEXT = "Печень очищает кровь, а лёгкие дают ей кислород."


@pytest.fixture(scope="module")
def tokenizers(small_stock: Path, sound_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small tokenizer with units: after the stock ids, and in the places of unused ones."""
    folder = tmp_path_factory.mktemp("among") / "tokenizer"
    return {"beyond": sound_extension, "among": artefact(folder, Stock.load(small_stock), "phrase", ("ru", "en"))}


def as_trained(folder: Path) -> Any:
    """The model as it was while it was trained: split rows, adapter not merged."""
    return attach(open_trained(folder)[1].load("float32"), folder)


def test_what_is_written(whole: Path, model: Path) -> None:
    manifest = read_manifest(whole, TRAINED)
    assert set(manifest.files) == WRITTEN
    assert manifest.parents["model"] == Pair.open(model).sha256
    assert manifest.facts["characters"] == 1000
    assert manifest.facts["new_rows"] == {"input": [number_of_units(model), 32]}
    peak = manifest.facts["peak_memory"]
    assert peak is None or 100 << 20 < peak < 64 << 30, "where the system tells it"
    assert not whole.with_name("run.work").exists()
    rows = load_file(whole / "new_rows.safetensors")
    before = load_file(model / "model.safetensors")["model.embed_tokens.weight"]
    assert rows["input"].dtype == torch.float32
    assert (rows["input"] != before[rows["ids"]]).any(dim=1).all(), "every new row is trained, by the softmax at least"
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert steps(whole) == list(range(1, manifest.facts["steps"] + 1))
    assert {"step", "characters", "seconds", "loss", "rows_lr", "lora_lr", "grad_norm"} <= lines[0].keys()
    losses = [line["loss"] for line in lines if "loss" in line]
    assert sum(losses[-4:]) < sum(losses[:4])


@pytest.mark.parametrize(
    ("kind", "tied", "ids"),
    [(kind, tied, "beyond") for kind in KINDS for tied in (True, False)] + [("llama", True, "among")],
)
def test_live_merged_and_reloaded_are_one_model(
    tokenizers: dict[str, Path], small_corpus: Path, tmp_path: Path, kind: str, tied: bool, ids: str
) -> None:
    folder = model_folder(tokenizers[ids], tmp_path / "model", kind, tied=tied)
    options = QUICK.model_copy(update={"characters": 500, "lora": LoraOptions(r=4, dora=kind == "qwen3")})
    train(folder, small_corpus, tmp_path / "trained", options)
    manifest = merge(tmp_path / "trained", tmp_path / "merged")
    assert manifest.parents["model"] == Pair.open(folder).sha256
    tokenizer = HyperTokenizer.from_pretrained(tmp_path / "merged")
    text = torch.tensor([tokenizer.encode(TEXT, add_special_tokens=True)])
    assert tokenizer.new_ids & set(text[0].tolist())
    assert AutoTokenizer.from_pretrained(tmp_path / "merged")(TEXT).input_ids == text[0].tolist()
    live = as_trained(tmp_path / "trained")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32).eval()
    stock = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        one, other, before = (m(text).logits for m in (live, loaded, stock))
    assert (one - other).abs().max() < 1e-5
    assert (one - before).abs().max() > 1e-2, "training changed nothing"
    assert loaded.config.tie_word_embeddings == tied
    tensors = load_file(tmp_path / "merged" / "model.safetensors")
    assert ("lm_head.weight" in tensors) == (not tied)
    assert tensors.keys() == load_file(folder / "model.safetensors").keys()
    kept = torch.ones(len(stock.get_input_embeddings().weight), dtype=torch.bool)
    kept[sorted(tokenizer.new_ids)] = False
    embedding = tensors["model.embed_tokens.weight"]
    assert torch.equal(embedding[kept], stock.get_input_embeddings().weight[kept]), "a stock row changed"
    numbers = sum(tensor.numel() for tensor in tensors.values())
    assert 0 < (tmp_path / "merged" / "model.safetensors").stat().st_size - 4 * numbers < 10_000


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "PROMPT_TUNING", "tokenizer_name_or_path": "owner/name"}, r".*'PROMPT_TUNING'.*train again"),
        ([], ""),
        (None, "not there"),
    ],
)
def test_an_adapter_is_known_by_its_own_file_alone(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Any, why: str
) -> None:
    """Someone else's folder names repositories, where PEFT and transformers would look."""
    asked: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_options: asked.append(where) or [])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # else it would not even try
    folder = shutil.copytree(whole, tmp_path / "trained")
    path = folder / "adapter_config.json"
    said = json.loads(path.read_bytes()) | {
        "base_model_name_or_path": "owner/name", "megatron_core": "no_such_module", "megatron_config": {"a": 1},
        "loftq_config": {"a": 1}, "modules_to_save": ["embed_tokens"], "a_field_of_tomorrow": 1,
    }  # fmt: skip
    path.write_text(json.dumps(said), encoding="utf-8")
    live = open_trained(whole)[1].load("float32")
    attach(live, folder)
    path.unlink()
    if config is not None:
        path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(HypertokError, match=rf"adapter_config\.json: {why}"):
        attach(open_trained(whole)[1].load("float32"), folder)
    assert not asked


def test_rows_only_and_bf16(model: Path, small_corpus: Path, tmp_path: Path) -> None:
    options = QUICK.model_copy(
        update={"rows": "flat", "rows_only": True, "lora": LoraOptions(), "dtype": "bfloat16", "recompute": True}
    )
    done = train(model, small_corpus, tmp_path / "rows", options, held_out=held_out(tmp_path))
    assert not done.manifest.facts["adapter"]
    assert done.manifest.facts["trained"] == number_of_units(model) * 32
    assert done.eval_bpc is not None
    assert 0 < done.eval_bpc < 30
    assert "adapter_config.json" not in done.manifest.files
    merge(tmp_path / "rows", tmp_path / "merged", dtype="bfloat16")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert {tensor.dtype for tensor in merged.values()} == {torch.bfloat16}


def test_compiled_layers(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run as `whole`, compiled: the same but for rounding. Without a compiler it says what to do."""
    import torch._inductor.config as inductor

    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("no C++ compiler, which compiled layers need: install g++ to run this test")
    options = QUICK.model_copy(update={"epochs": 2, "compile": True})
    done = train(model, small_corpus, tmp_path / "run", options, held_out=held_out(tmp_path))
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "nothing was compiled"
    assert not torch._dynamo.utils.counters["graph_break"]
    before = read_manifest(whole, TRAINED).facts
    assert done.manifest.facts["steps"] == before["steps"]
    assert done.loss == pytest.approx(before["loss"], rel=1e-3)
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "again", options, callbacks=[Interrupt(5)])
    train(model, small_corpus, tmp_path / "again", options, resume=True)
    assert same_weights(tmp_path / "again", tmp_path / "run"), "a resumed run gives the same bits compiled, too"
    torch._dynamo.reset()
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(InputError, match=r"compile: torch cannot compile .* or leave compile out"):
        train(model, small_corpus, tmp_path / "other", options)


def test_a_head_cut_to_the_texts(
    model: Path, small_corpus: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run as `whole`, over fewer ids; texts held out may have ids that those trained on have not."""
    monkeypatch.setattr("hypertok.training.loss.SAMPLED", 64)
    options = QUICK.model_copy(update={"epochs": 2, "cut_head": True})
    done = train(model, small_corpus, tmp_path / "run", options, held_out=held_out(tmp_path))
    facts, before = done.manifest.facts, read_manifest(whole, TRAINED).facts
    assert number_of_units(model) < facts["logits"] < before["logits"] == HyperTokenizer.from_pretrained(model).rows
    assert facts["steps"] == before["steps"]
    assert facts["loss"] == pytest.approx(before["loss"], rel=0.05)
    with pytest.raises(KeyboardInterrupt):
        train(model, small_corpus, tmp_path / "again", options, held_out=held_out(tmp_path), callbacks=[Interrupt(5)])
    train(model, small_corpus, tmp_path / "again", options, held_out=held_out(tmp_path), resume=True)
    assert same_weights(tmp_path / "again", tmp_path / "run"), "samples are drawn on where they were"
    pair = Pair.open(model)
    held = make_blocks(read_texts(held_out(tmp_path)), pair, options.context)
    texts = make_blocks(read_texts(small_corpus, characters=1000, seed=0), pair, options.context)
    live = as_trained(tmp_path / "run")
    ids, labels = (torch.stack([block[name] for block in held]) for name in ("input_ids", "labels"))
    assert set(held.tokens.tolist()) - set(texts.tokens.tolist())
    cut = LossModel(live, ids=torch.tensor([*texts.tokens.tolist(), *held.tokens.tolist()]))
    assert facts["logits"] == cut.logits
    with torch.no_grad():
        bpc = LossModel(live)(ids, labels, 1)["loss"].item() / math.log(2) / held.characters
    assert done.eval_bpc == pytest.approx(bpc, rel=1e-5), "judged with the whole head"


def test_a_stock_model_trains_as_an_arm_of_its_own(small_stock: Path, small_corpus: Path, tmp_path: Path) -> None:
    folder = put_model(small_stock, tmp_path / "stock", tiny_model("llama", tied=True, rows=640))
    for name in ("tf_model.h5", "pytorch_model.bin.index.json", "modeling_llama.py", "LICENSE", "diary.txt"):
        (folder / name).write_text("x", encoding="utf-8")
    (folder / "NOTICE").symlink_to(Path(__file__))
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_bytes()) if (folder / name).is_file() else {}
        (folder / name).write_text(json.dumps(content | {"auto_map": {"AutoModel": "modeling_llama.Llama"}}))
    (folder / "additional_chat_templates").mkdir()
    for name in ("chat_template.jinja", "additional_chat_templates/rag.jinja"):
        (folder / name).write_text(f"{{{{ '{Path(name).stem}' }}}}", encoding="utf-8")
    done = train(folder, small_corpus, tmp_path / "run", QUICK, held_out=held_out(tmp_path))
    assert done.manifest.facts["new_rows"] == {}
    assert done.manifest.facts["characters"] == 1000
    assert "lost" not in merge(tmp_path / "run", tmp_path / "merged").facts
    beside = {path.name for path in (tmp_path / "merged").iterdir()} - {path.name for path in small_stock.iterdir()}
    assert beside == {"LICENSE", "config.json", "generation_config.json", "manifest.json", "model.safetensors", SEEN}
    for name in ("config.json", "tokenizer_config.json"):
        assert "auto_map" not in json.loads((tmp_path / "merged" / name).read_bytes())
    templates = AutoTokenizer.from_pretrained(tmp_path / "merged").chat_template
    assert templates == {"default": "{{ 'chat_template' }}", "rag": "{{ 'rag' }}"}
    with pytest.raises(ArtifactError, match=r"lacks its model: put both together with: hypertok merge \S*/run -o"):
        HyperTokenizer.from_pretrained(tmp_path / "run")
    with pytest.raises(ArtifactError, match="a stock model with an adapter merged, so it has no units"):
        HyperTokenizer.from_pretrained(tmp_path / "merged")
    live = as_trained(tmp_path / "run")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    text = torch.tensor([Pair.open(folder).tokenizer.encode_batch([TEXT])[0]])
    with torch.no_grad():
        assert (live(text).logits - loaded(text).logits).abs().max() < 1e-5
    with pytest.raises(InputError, match="no new rows"):
        train(folder, small_corpus, tmp_path / "other", TrainOptions(rows_only=True))
    merged = Pair.open(tmp_path / "merged")
    assert (merged.new_ids, merged.manifest) == ((), None), "a stock model again: it can be trained further"
    train(tmp_path / "merged", small_corpus, tmp_path / "further", QUICK.model_copy(update={"characters": 300}))
    assert merge(tmp_path / "further", tmp_path / "twice").kind == "model"


def test_training_is_a_function_of_its_options(model: Path, small_corpus: Path, whole: Path, tmp_path: Path) -> None:
    again = QUICK.model_copy(update={"epochs": 2, "save_every": 100})
    train(model, small_corpus, tmp_path / "again", again)
    assert same_weights(tmp_path / "again", whole)
    train(model, small_corpus, tmp_path / "other", again.model_copy(update={"seed": 1}))
    assert not same_weights(tmp_path / "other", whole)
