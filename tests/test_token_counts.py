"""What is counted of texts: characters, tokens, words, words inside one token, new rows that are used."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models

from hypertok.errors import InputError
from hypertok.measure.tokens import TokenCounts, count_tokens


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Of «дом до» it makes «дом», « », «до»; «мод» stays in letters."""
    vocabulary = {"д": 0, "о": 1, "м": 2, " ": 3, "до": 4, "дом": 5}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=[("д", "о"), ("до", "м")]))


def test_tokens_words_and_new_rows_are_counted(tokenizer: Tokenizer) -> None:
    found = count_tokens(tokenizer, ["дом до", "мод дом"], 4)
    assert found == TokenCounts(characters=13, tokens=8, words=4, whole_words=3, emitted=2)
    assert (found.characters_per_token, found.tokens_per_word) == (13 / 8, 2)


def test_without_new_rows_none_are_used(tokenizer: Tokenizer) -> None:
    assert count_tokens(tokenizer, ["дом до"]).emitted == 0
    assert count_tokens(tokenizer, ["мод"], 4).emitted == 0


def test_texts_without_russian_words_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="no Russian words in the texts"):
        count_tokens(tokenizer, [" ", ""])
