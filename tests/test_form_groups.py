"""New units grouped by how often they were trained on: by hand, and against the lengths of real tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SENTENCES

from hypertok.errors import InputError
from hypertok.measure.form_groups import NAMES, RARE, FormBits, measure_forms
from hypertok.measure.form_groups import grouped as grouped_by
from hypertok.measure.quality import DocumentBits, Scored
from hypertok.tokenizer.hyper import HyperTokenizer

#: Ids 0 to 2 are stock tokens; 3 was never seen, 4 once, 5 as often as a rare unit may be, 6 once more.
SEEN = np.array([50, 0, 7, 0, 1, RARE, RARE + 1])
NEW = frozenset({3, 4, 5, 6})
TEXT = (np.array([0, 3, 6, 4, 5, 3]), np.array([1.0, 2, 4, 8, 16, 32]), np.array([1, 2, 3, 4, 5, 6]))
OTHER = (np.array([6, 1]), np.array([64.0, 128]), np.array([7, 8]))


def test_tokens_and_what_follows_are_grouped_by_hand() -> None:
    forms = grouped_by([TEXT, OTHER], NEW, SEEN)
    assert forms.rare == RARE
    assert tuple(one.name for one in forms.groups) == NAMES
    assert forms.group("stock").documents == (FormBits(1, 1, 1.0, 1, 2, 2.0), FormBits(1, 8, 128.0, 0, 0, 0.0))
    assert forms.group("unseen").documents == (FormBits(2, 8, 34.0, 1, 3, 4.0), FormBits(0, 0, 0.0, 0, 0, 0.0))
    assert forms.group("rare").documents == (FormBits(2, 9, 24.0, 2, 11, 48.0), FormBits(0, 0, 0.0, 0, 0, 0.0))
    assert forms.group("frequent").documents == (FormBits(1, 3, 4.0, 1, 4, 8.0), FormBits(1, 7, 64.0, 1, 8, 128.0))
    assert {one.name: one.units for one in forms.groups} == {"frequent": 1, "rare": 2, "unseen": 1, "stock": 2}
    frequent = forms.group("frequent")
    assert frequent.total == FormBits(2, 10, 68.0, 2, 12, 136.0)
    assert frequent.bits_per_character == 6.8
    assert frequent.next_bits_per_character == 136 / 12
    assert [column.tolist() for column in frequent.sums] == [[4.0, 64.0], [3.0, 7.0]]
    assert [column.tolist() for column in frequent.next_sums] == [[8.0, 128.0], [4.0, 8.0]]


def test_groups_may_be_empty_and_texts_too() -> None:
    nothing = (np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    forms = grouped_by([nothing, OTHER], NEW, SEEN)
    unseen = forms.group("unseen")
    assert unseen.total == FormBits(0, 0, 0.0, 0, 0, 0.0)
    assert unseen.bits_per_character is None
    assert unseen.next_bits_per_character is None
    assert sum(one.total.tokens for one in forms.groups) == 2


def test_what_does_not_belong_together_is_refused() -> None:
    with pytest.raises(InputError, match="unit 6 was not counted"):
        grouped_by([TEXT], NEW, SEEN[:6])
    with pytest.raises(InputError, match="6 ids have 5 bits"):
        grouped_by([(TEXT[0], TEXT[1][:5], TEXT[2])], NEW, SEEN)


@pytest.mark.parametrize(("name", "text"), [("qwen3", "surface"), ("llama2", "surface"), ("qwen3", "symbols")])
def test_characters_of_tokens_are_those_of_the_text(extended_folder: Callable[..., Path], name: str, text: str) -> None:
    tokenizer = HyperTokenizer.from_pretrained(extended_folder(name, text))
    texts = ["Книги читали в домах, а потом в садах: «ёж 🦔» и ﷽!", "Книга", " да\n\n  12 cats", SENTENCES[:600]]
    scored = []
    for one in texts:
        ids = np.array(tokenizer.encode(one))
        scored.append(Scored(one, ids, np.ones(len(ids)), DocumentBits(float(len(ids)), len(one), len(ids))))
    forms = measure_forms(scored, tokenizer, np.zeros(tokenizer.rows, np.int64))
    for number, one in enumerate(texts):
        parts = [group.documents[number] for group in forms.groups]
        assert sum(part.characters for part in parts) == len(one)
        assert sum(part.bits for part in parts) == sum(part.tokens for part in parts) == len(scored[number].ids)
        assert sum(part.next_tokens for part in parts) == len(scored[number].ids) - 1
        assert all(part.characters >= 0 for part in parts)
    new = sum(one in tokenizer.new_ids for own in scored for one in own.ids.tolist())
    assert forms.group("unseen").total.tokens == new > 0
