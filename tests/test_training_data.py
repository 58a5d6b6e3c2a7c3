"""Texts to blocks: nothing lost, the same characters for every arm, nothing held out among them."""

from __future__ import annotations

import io
import json
import mmap
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import stock_folder

pytest.importorskip("torch")

import torch
from tiny_models import put_model, tiny_model

from hypertok.corpus.identity import identity_of
from hypertok.errors import InputError
from hypertok.model.pair import Pair
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.training.data import Text, make_blocks, read_texts, refusable, refuse_leaks
from hypertok.training.loss import IGNORED
from hypertok.training.run_texts import ids_in_use


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A stock model: Llama 2's tokenizer puts BOS before a text and nothing after it."""
    folder = tmp_path_factory.mktemp("pair") / "llama"
    return Pair.open(put_model(stock_folder("llama2"), folder, tiny_model("llama", tied=True, rows=32_000)))


@pytest.mark.parametrize("bos", [True, False])
def test_every_token_but_the_first_is_predicted_once(llama: Pair, small_corpus: Path, bos: bool) -> None:
    texts = list(read_texts(small_corpus, seed=3))
    blocks = make_blocks(texts, llama, 32, seed=3, bos=bos)
    seen = {}
    for index in range(len(blocks)):
        first = int(blocks.order[index]) * (31 if bos else 32)
        item = blocks[index]
        ids, labels = item["input_ids"].tolist(), item["labels"].tolist()
        assert len(ids) == len(labels) == 32
        before = 1 if bos and blocks.tokens[first] != 1 else 0
        assert ids[0] == (1 if bos else blocks.tokens[first]), "every block begins with BOS"
        assert ids[1] != 1, "and one that a document begins with has it once"
        start = first - before
        for place, (token, label) in enumerate(zip(ids, labels, strict=True)):
            if label != IGNORED:
                assert place >= before
                assert start + place + 1 not in seen
                seen[start + place + 1] = label
                assert token == blocks.tokens[start + place]
    assert [seen[place] for place in range(1, len(blocks.tokens))] == blocks.tokens[1:].tolist()
    assert blocks.characters == sum(len(text.text) for text in texts)


def test_ids_lie_in_a_file_without_a_name_and_not_in_memory(
    llama: Pair, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = list(read_texts(small_corpus, seed=0))
    blocks = make_blocks([*texts, *texts], llama, 32, beside=tmp_path)
    assert isinstance(blocks.tokens.base, memoryview)
    assert isinstance(blocks.tokens.base.obj, mmap.mmap)
    assert not list(tmp_path.iterdir())
    assert len(blocks.documents) == len(texts) > 1, "a text that comes again is one"
    once = [[1, *llama.plain.encode_batch([text.text])[0], 2] for text in texts]
    assert blocks.tokens.tolist() == [one for ids in once + once for one in ids]
    monkeypatch.setattr("hypertok.training.data._PIECE", 7)
    assert np.concatenate(list(blocks.pieces())).tolist() == blocks.tokens.tolist()
    assert ids_in_use(blocks, None, None).tolist() == sorted(set(blocks.tokens.tolist()))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_without_room_for_the_ids_is_named(
    llama: Pair, small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir, **given: io.FileIO("/dev/full", "wb"))
    with pytest.raises(InputError, match=rf"^{tmp_path}: the ids of the texts, 4 bytes each, .* \(No space left on"):
        make_blocks(read_texts(small_corpus), llama, 32, beside=tmp_path)


def test_text_for_a_model_of_symbol_text_goes_through_the_codec(
    extended_folder: Callable[..., Path], small_corpus: Path, tmp_path: Path
) -> None:
    tokenizer = HyperTokenizer.from_pretrained(extended_folder("qwen3", "symbols"))
    model = tiny_model("llama", tied=True, rows=tokenizer.rows)
    pair, texts = (
        Pair.open(put_model(tokenizer.folder, tmp_path / "model", model)),
        list(read_texts(small_corpus, seed=0)),
    )
    blocks = make_blocks(texts, pair, 32)
    assert pair.separator is not None
    expected = [one for text in texts for one in (*tokenizer.encode(text.text), pair.separator)]
    assert blocks.tokens.tolist() == expected
    assert blocks.characters == sum(len(text.text) for text in texts)
    as_it_stands = [
        one for ids in pair.plain.encode_batch([text.text for text in texts]) for one in (*ids, pair.separator)
    ]
    assert expected != as_it_stands


def test_documents_do_not_run_into_each_other(llama: Pair, small_corpus: Path) -> None:
    texts = list(read_texts(small_corpus, seed=0))
    tokens = make_blocks(texts, llama, 32).tokens.tolist()
    assert tokens[0] == 1
    assert tokens[-1] == 2
    assert tokens.count(1) == tokens.count(2) == len(texts)
    assert all((left == 2) == (right == 1) for left, right in pairwise(tokens))


@pytest.mark.parametrize(
    ("text", "behind"),
    [
        ("<s>[INST] Болит? [/INST] Нет.</s>", ""),
        ("<s>[INST] Болит? [/INST] Нет.</s>\n\n", "\n\n"),
        ("<s>[INST] Болит? [/INST] Нет.\n", ""),
        ("Болит? Нет.\n", ""),
    ],
)
def test_a_rendered_chat_gets_no_second_begin_and_end(llama: Pair, text: str, behind: str) -> None:
    tokens = make_blocks([Text("one", text, "1")], llama, 8).tokens.tolist()
    assert (tokens.count(1), tokens.count(2)) == (1, 1)
    assert tokens[0] == 1
    assert "".join(map(llama.plain.text_of, tokens[tokens.index(2) + 1 :])).strip(" ") == behind


def test_characters_are_the_same_for_every_tokenizer_and_hang_on_the_seed(small_corpus: Path) -> None:
    first = list(read_texts(small_corpus, characters=500, seed=1))
    assert sum(len(text.text) for text in first) == 500
    assert first == list(read_texts(small_corpus, characters=500, seed=1))
    assert [text.name for text in first] != [text.name for text in read_texts(small_corpus, characters=500, seed=2)]
    with pytest.raises(InputError, match="100,000 are asked for"):
        list(read_texts(small_corpus, characters=100_000, seed=1))


def test_order_hangs_on_seed_and_epoch_alone(llama: Pair, small_corpus: Path) -> None:
    def order(seed: int) -> list[int]:
        return make_blocks(read_texts(small_corpus), llama, 32, epochs=2, seed=seed).order.tolist()

    one = order(5)
    half = len(one) // 2
    assert one == order(5)
    assert one != order(6)
    assert one[:half] != one[half:]
    assert sorted(one[:half]) == sorted(one[half:]) == list(range(half))


def test_held_out_documents_are_refused_even_if_they_look_a_little_different(tmp_path: Path) -> None:
    for name, text in {"a": "Печень очищает кровь.", "b": "Лёгкие дают кислород."}.items():
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / f"{name}.txt").write_text(text, encoding="utf-8")
    (tmp_path / "held.txt").write_text("  ЛЁГКИЕ дают\n\nкислород. ", encoding="utf-8")
    held = {text.identity: text.name for text in read_texts(tmp_path / "held.txt")}
    with pytest.raises(InputError, match=r"b\.txt#0: the held-out document held\.txt#0"):
        list(refuse_leaks(read_texts(tmp_path / "train"), held))
    assert identity_of("и\u0306") == identity_of("й") != identity_of("и")
    other = {identity_of("Иной текст."): "other"}
    assert len(list(refuse_leaks(read_texts(tmp_path / "train"), other))) == 2


def test_a_document_that_is_cut_by_the_budget_is_known_whole(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Печень очищает кровь и хранит сахар.", encoding="utf-8")
    held = {text.identity: text.name for text in read_texts(tmp_path / "a.txt")}
    with pytest.raises(InputError, match="the same text"):
        list(refuse_leaks(read_texts(tmp_path / "a.txt", characters=6), held))


def test_a_token_without_a_row_is_named(llama: Pair, tmp_path: Path) -> None:
    """Gemma 3's tokenizer knows `<image_soft_token>`, and its text models have no row for it."""
    (tmp_path / "page.txt").write_text("Вот снимок: <picture>.", encoding="utf-8")
    folder = tmp_path / "llama"
    shutil.copytree(llama.folder, folder)
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    data["added_tokens"].append({**data["added_tokens"][-1], "id": 32_000, "content": "<picture>"})
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(InputError, match=r"page\.txt#0: its token '<picture>' has the id 32,000.* 32,000 rows"):
        make_blocks(read_texts(tmp_path / "page.txt"), Pair.open(folder), 32)


def test_too_little_text_is_refused(llama: Pair, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no text in it"):
        list(read_texts(tmp_path / "empty"))
    (tmp_path / "empty" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    with pytest.raises(InputError, match="no text in it"):
        list(read_texts(tmp_path / "empty"))
    (tmp_path / "short.txt").write_text("Дом стоит.", encoding="utf-8")
    with pytest.raises(InputError, match="less than one batch of 8"):
        make_blocks(read_texts(tmp_path / "short.txt"), llama, 32, at_least=8)
    with pytest.raises(InputError, match="context 1: no room beside the 1 ids that stand before a text; take more"):
        make_blocks(read_texts(tmp_path / "short.txt"), llama, 1)


def test_blocks_that_fill_a_batch_predict_nothing(llama: Pair, small_corpus: Path) -> None:
    plain = make_blocks(read_texts(small_corpus), llama, 50, epochs=2, seed=1)
    filled = make_blocks(read_texts(small_corpus), llama, 50, epochs=2, seed=1, fill=7)
    assert len(plain) % 7, "choose another number: this one divides the blocks"
    assert len(filled) == -(-len(plain) // 7) * 7
    for index in range(len(filled)):
        if index < len(plain):
            assert all(torch.equal(filled[index][key], plain[index][key]) for key in ("input_ids", "labels"))
        else:
            assert bool((filled[index]["labels"] == IGNORED).all())


def test_the_last_block_is_filled_with_places_that_are_not_predicted(llama: Pair, small_corpus: Path) -> None:
    blocks = make_blocks(read_texts(small_corpus), llama, 50)
    last = blocks[len(blocks) - 1]
    predicted = len(blocks.tokens) - 1 - 49 * (blocks.blocks - 1)
    assert 0 < predicted < 49, "choose another context: this one divides the text"
    assert int((last["labels"] != IGNORED).sum()) == predicted
    assert last["labels"][0] == IGNORED, "BOS is given, and what follows it was predicted by the block before"
    assert torch.equal(last["labels"][1 + predicted :], torch.full((49 - predicted,), IGNORED))
    assert int(last["input_ids"].max()) < 32_000
    assert blocks.tokens.dtype == np.int32


def test_what_everybody_writes_is_no_leak() -> None:
    said = "Спасибо, всё получилось."
    told = "Мост чинили до обеда: сосед стучал молотком, а старик сидел на брёвнах и пил чай из жестяной кружки."
    texts = [Text(f"chat.jsonl#{number}", text, identity_of(text)) for number, text in enumerate((said, told))]
    known = refusable(texts)
    assert list(known.values()) == ["chat.jsonl#1"]
    assert list(refuse_leaks(texts[:1], known)) == texts[:1]
    with pytest.raises(InputError, match="the same text"):
        list(refuse_leaks(texts, known))
    from hypertok.experiment.leaks import find_leaks

    assert set(find_leaks(texts, texts)[0]) == {"chat.jsonl#1"}
