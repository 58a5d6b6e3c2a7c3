"""What units that are only read are worth: what follows a passage, and some of it again, after each way to read it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("peft")

import torch
from conftest import SENTENCES
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import InputError
from hypertok.measure.model import measure_model
from hypertok.measure.options import MeasureOptions
from hypertok.measure.reading import measure_reading
from hypertok.measure.subject import Subject, load_subject
from hypertok.model.pair import Pair

TEXT = SENTENCES.replace("\n", " ")


def by_hand(subject: Subject, pair: Pair, text: str, after: int, context: int) -> tuple[list[list[float]], list[int]]:
    """The first passage of a text by the model's own logits: bits of what follows it and of what comes again, after
    each way to read it, and tokens of each."""
    ids, gap = pair.plain.encode_batch([text, "\n\n"])
    spelled = [pair.spelling.spell(np.array([one]))[0].tolist() for one in ids]
    gap = pair.spelling.spell(np.array(gap))[0].tolist()
    room = context - len(subject.coding.start) - len(gap) - after
    ends = np.cumsum([len(one) for one in spelled])

    def stock_of(first: int, end: int) -> list[int]:
        return [one for part in spelled[first:end] for one in part]

    middle, end = (int((ends <= size).sum()) for size in (room - after, room))
    places = [one for one in range(middle) if len(stock_of(one, middle)) >= after]
    place = int(np.random.default_rng(0).integers(0, len(places)))
    till = max(one for one in range(middle + 1) if len(stock_of(place, one)) <= after)
    stock, follows, again = stock_of(0, middle), stock_of(middle, end), stock_of(place, till)
    recent = list[int]()
    for at in range(middle):
        recent += [ids[at]] if len(stock_of(at, middle)) > 24 else spelled[at]
    start, bits, tokens = subject.coding.start, [], []
    for before in (stock, ids[:middle], recent, stock[-len(recent) :]):
        row = [*start, *before, *follows, *gap, *again]
        with torch.no_grad():
            logits = subject.model(input_ids=torch.tensor([row])).logits[0].double()
        logits[:, list(pair.new_ids)] = -torch.inf
        each = -logits.log_softmax(1) / np.log(2)
        told = [float(each[at - 1, row[at]]) for at in range(len(start) + len(before), len(row))]
        bits.append([sum(told[: len(follows)]), sum(told[-len(again) :])])
        tokens.append(len(before))
    return bits, tokens


def test_reading_is_measured_as_by_hand(only_read: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypertok.measure.reading.RECENT", 24)
    monkeypatch.setattr("hypertok.measure.reading.FOLLOW", 20)
    subject, pair = load_subject(only_read, device="cpu", dtype="float32"), Pair.open(only_read)
    text = TEXT[:300]
    found = measure_reading(subject, [text], context=121, passages=1)
    bits, tokens = by_hand(subject, pair, text, 20, 121)
    assert (found.passages, found.documents) == (1, 1)
    assert [found.stock_tokens, found.unit_tokens, found.recent_tokens, found.recent_tokens] == tokens
    assert found.unit_tokens < found.recent_tokens < found.stock_tokens
    for part, ways in enumerate((found.follows, found.again)):
        measured = [value * ways.characters for value in (ways.stock, ways.units, ways.recent, ways.as_many)]
        assert measured == pytest.approx([one[part] for one in bits], rel=1e-4)
        assert ways.units_over_stock is None
    with pytest.raises(InputError, match="no text has 256 stock tokens"):
        measure_reading(subject, [text], context=256)


def test_reading_over_several_documents(model: Path, only_read: Path) -> None:
    texts = [TEXT, TEXT[300:], TEXT[100:], "Да."]
    untrained, found = (
        measure_reading(load_subject(one, device="cpu", dtype="float32"), texts, context=41)
        for one in (model, only_read)
    )
    assert found.documents == 3
    assert found.passages > 6
    for ways, before in ((found.follows, untrained.follows), (found.again, untrained.again)):
        assert before.stock == pytest.approx(ways.stock), "the model itself is the same"
        assert before.units != pytest.approx(ways.units)
        for value, over in (
            (ways.units, ways.units_over_stock),
            (ways.recent, ways.recent_over_stock),
            (ways.as_many, ways.as_many_over_stock),
        ):
            assert over is not None
            assert over.value == pytest.approx(value / ways.stock)
            assert over.low <= over.value <= over.high


def test_what_is_measured_of_units_that_are_only_read(only_read: Path, model: Path, tmp_path: Path) -> None:
    options = MeasureOptions(context=41, prefill_characters=100, device="cpu", dtype="float32")
    found = measure_model(only_read, [TEXT, TEXT[200:]], options)
    assert found.reading is not None
    assert found.prefill is not None
    assert (found.quality, found.emission, found.speed) == (None, None, ())
    assert set(found.skipped) >= {"quality", "speed", "emission", "copy", "pairs"}
    text = tmp_path / "held.txt"
    text.write_text(TEXT, encoding="utf-8")
    command = ["measure", str(model), "--text", str(text), "--only", "reading", "--context", "41", "--dtype", "float32"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert told.output.index("what follows a passage") < told.output.index("some of it again")
    assert told.output.count("in units but for its end") == told.output.count("as many stock tokens") == 2
    data = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert set(data["reading"]["again"]) >= {"stock", "units", "as_many", "units_over_stock"}
    assert data["quality"] is None


def test_models_without_units_to_read_are_refused(only_read: Path) -> None:
    subject = load_subject(only_read, device="cpu")
    with pytest.raises(InputError, match="no new units"):
        measure_reading(replace(subject, coding=replace(subject.coding, new_ids=frozenset())), [TEXT])
    with pytest.raises(InputError, match="of symbol text"):
        measure_reading(replace(subject, coding=replace(subject.coding, spelling=None)), [TEXT])
