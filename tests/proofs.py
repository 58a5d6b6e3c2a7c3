"""Extensions of a small stock tokenizer, sound and spoiled ones, and what is asked of the reports on them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from conftest import SENTENCES, stock_of
from counted_units import learned
from things import seal_again
from tokenizers import Tokenizer, pre_tokenizers, trainers

from hypertok.artifact import seal
from hypertok.tokenizer.folder import write_tokenizer
from hypertok.tokenizer.kind import DELTA, GIVEN_UP, KIND
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.surgery import extended
from hypertok.tokenizer.unused import given_up_table, unused_tokens, with_replaced
from hypertok.tokenizer.verify_report import Report
from hypertok.vocabulary.units import Span

ENGLISH = "The cat and the dog sat on the mat; 12 cats ran, and then the other dogs ran.\nreturn self.other\n" * 3
SPECIALS = ("<|end|>", "<|user|>", "<note>")
TEMPLATE = "{% for m in messages %}<|user|>{{ m.content }}<|end|>{% endfor %}"


def trained_stock(folder: Path) -> Path:
    """A byte-level tokenizer of 603 tokens that is Qwen3's in all but the vocabulary."""
    parts = {key: stock_of("qwen3").data[key] for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder")}
    tokenizer = Tokenizer.from_str(json.dumps({**parts, "model": {"type": "BPE", "vocab": {}, "merges": []}}))
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES.splitlines(), ENGLISH * 5, "你好世界 " * 20], trainer)
    data = json.loads(tokenizer.to_str())
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    data["added_tokens"] = [
        {"id": 600 + number, "content": content, **flags, "special": content != "<note>"}
        for number, content in enumerate(SPECIALS)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(data))
    # Its class would add its own default for these, which this small vocabulary does not have.
    none = {"unk_token": None, "pad_token": None}
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|end|>", "chat_template": TEMPLATE, **none}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def artefact(folder: Path, stock: Stock, span: Span, languages: tuple[str, ...] = ()) -> Path:
    """What `extend` writes, of units learned from the sample sentences."""
    units = learned(stock, SENTENCES.splitlines(), span)
    given_up = unused_tokens(stock, languages)[: len(units.tokens)] if languages else []
    if given_up:
        units = learned(stock, SENTENCES.splitlines(), span, rounds=1, per_round=len(given_up) // 2)
        data = with_replaced(stock, units, span=span, given_up=given_up)
    else:
        data = extended(stock, units, span=span)
    ids = [data["model"]["vocab"][token] for token in units.tokens]
    folder.mkdir()
    write_tokenizer(folder, stock, data)
    strings = {number: token for token, number in stock.vocabulary.items()}
    rows = []
    for id_, token in zip(ids, units.tokens, strict=True):
        text = stock.bytes_of(token).decode()
        parts, lengths, done = stock.segment([text])[0], [], b""
        for part in parts:
            before = len(done.decode("utf-8", "ignore"))
            done += stock.bytes_of(strings[part])
            lengths.append(len(done.decode("utf-8", "ignore")) - before)
        rows.append((id_, token, text, parts, lengths, [0], [0], 1, len(parts) - 1))
    columns = ("id", "token", "text", "constituents", "lengths", "concepts", "inflections", "count", "saved")
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(folder / DELTA)
    pl.DataFrame({"symbol": ["肝"], "lemma": ["печень"]}).write_parquet(folder / "concepts.parquet")
    if given_up:
        given_up_table(given_up[: len(ids)]).write_parquet(folder / GIVEN_UP)
    size = max(data["model"]["vocab"].values()) + 1
    facts = {"family": stock.family.value, "units": len(ids), "rows": -(-size // 64) * 64, "first_id": ids[0]}
    parents = {"stock": stock.sha256, "lexicon": "0" * 64}
    seal(folder, KIND, parents=parents, recipe={"span": span}, facts=facts)
    return folder


def spoiled(sound: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy whose tokenizer.json is changed and whose manifest agrees with it."""
    shutil.copytree(sound, folder)
    data = json.loads((folder / "tokenizer.json").read_bytes())
    change(data)
    (folder / "tokenizer.json").write_text(json.dumps(data))
    return resealed(folder)


def resealed(folder: Path) -> Path:
    """The folder with a manifest that agrees with it."""
    seal_again(folder)
    return folder


def failed(report: Report) -> set[str]:
    assert report.passed == (not any(not line.passed and not line.skipped for line in report.lines))
    return {line.name for line in report.lines if not line.passed and not line.skipped}


def assert_sound(report: Report) -> None:
    assert failed(report) == set(), report.to_json()
    assert all(line.checked > 0 for line in report.lines if line.passed)
    assert report.passed
