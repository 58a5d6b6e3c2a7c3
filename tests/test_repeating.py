"""Blocks that repeat: what comes twice, what of it is predicted, and that all else stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("peft")

from hypothesis import given, settings
from hypothesis import strategies as st
from trained_models import QUICK, model_folder

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.training import deciding, passes
from hypertok.training.data import Blocks, orders
from hypertok.training.loss import IGNORED
from hypertok.training.options import TrainOptions
from hypertok.training.repeating import RepeatingBlocks
from hypertok.training.train import train
from hypertok.training.work_folder import begin, refuse_other_run


def blocks(tokens: int, context: int, epochs: int = 1, start: tuple[int, ...] = (1,)) -> Blocks:
    """Tokens that count up from 10, so that each tells its place."""
    ids = np.arange(10, 10 + tokens, dtype=np.int32)
    number = -(-(tokens - 1) // (context - len(start)))
    return Blocks(ids, context, orders(number, epochs, 3, 2), epochs, 4 * tokens, np.zeros(0, np.uint64), "", start)


@given(
    st.integers(40, 400), st.integers(30, 60), st.integers(1, 3), st.floats(0, 1), st.sampled_from([(), (1,), (1, 2)]),
    st.sampled_from([(), (5,), (5, 6)]),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_block_comes_as_before_and_some_of_them_twice(
    tokens: int, context: int, epochs: int, share: float, start: tuple[int, ...], between: tuple[int, ...]
) -> None:
    own = blocks(tokens, context, epochs, start)
    found = RepeatingBlocks.of(own, share, between, seed=3, fill=2)
    again = [number for number in found.order if number >= own.blocks]
    assert len(again) == epochs * round(share * own.blocks)
    assert [number for number in found.order if 0 <= number < own.blocks] == [one for one in own.order if one >= 0]
    assert len(found) % 2 == 0
    for index, number in enumerate(found.order):
        if number < own.blocks:
            continue
        one = {name: value.tolist() for name, value in found[index].items()}
        assert len(one["input_ids"]) == len(one["labels"]) == context
        predicted = [label for label in one["labels"] if label != IGNORED]
        first = 10 + (number - own.blocks) * own.size
        assert predicted == list(range(first, first + len(predicted)))
        assert 0 < len(predicted) <= found.stretch
        whole = [*start, *predicted, *between, *predicted]
        assert one["input_ids"][: len(whole) - 1] == whole[:-1]
        place = one["labels"].index(predicted[0])
        assert place == len(start) + len(predicted) + len(between) - 1, "the second time is predicted, not the first"


def test_a_block_without_room_for_a_stretch_twice_is_refused() -> None:
    with pytest.raises(InputError, match="context 16: no room for a stretch of 8 tokens twice"):
        RepeatingBlocks.of(blocks(100, 16), 0.1, (5,), seed=0)


def test_reading_repeats_by_itself() -> None:
    with pytest.raises(ValueError, match="leave repeats out"):
        TrainOptions(reading=True, rows_only=True, repeats=0.1)


def test_what_is_trained_without_keeps_its_key_and_with_it_counts_more() -> None:
    assert "repeats" not in deciding(QUICK)
    assert deciding(QUICK.model_copy(update={"repeats": 0.25}))["repeats"] == 0.25
    assert (passes(QUICK), type(passes(QUICK))) == (QUICK.epochs, int)
    assert passes(QUICK.model_copy(update={"repeats": 0.25})) == 1.25 * QUICK.epochs


def test_training_with_blocks_that_repeat_takes_more_steps(
    sound_extension: Path, small_corpus: Path, tmp_path: Path
) -> None:
    model = model_folder(sound_extension, tmp_path / "model")
    options = QUICK.model_copy(update={"context": 48})
    plain = train(model, small_corpus, tmp_path / "plain", options).manifest.facts
    options = options.model_copy(update={"repeats": 0.5})
    more = train(model, small_corpus, tmp_path / "more", options).manifest.facts
    assert more["tokens"] == plain["tokens"]
    assert plain["steps"] < more["steps"] <= -(-3 * plain["steps"] // 2) + 1
    assert train(model, small_corpus, tmp_path / "more", options, resume=True).manifest.facts == more
    with pytest.raises(ArtifactError, match="trained already"):
        train(model, small_corpus, tmp_path / "more", options)


def test_a_run_of_older_code_had_no_blocks_that_repeat(tmp_path: Path) -> None:
    old = {"options": {"seed": 0}, "parents": {"corpus": "a"}}
    begin(tmp_path / "work", tmp_path / "run", old)
    refuse_other_run(tmp_path / "work", {**old, "options": {"seed": 0, "repeats": 0.0}})
    with pytest.raises(ArtifactError, match=r"repeats 0\.0, now it is 0\.1"):
        refuse_other_run(tmp_path / "work", {**old, "options": {"seed": 0, "repeats": 0.1}})
