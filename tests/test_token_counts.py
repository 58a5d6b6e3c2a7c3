"""What is counted of texts: characters, tokens, words, words inside one token, new rows that are used."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Encoding, Tokenizer, models

from hypertok.errors import InputError
from hypertok.measure.tokens import TokenCounts, count_tokens
from hypertok.tokenizer import stock


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Of «дом до» it makes «дом», « », «до»; «мод» stays in letters."""
    vocabulary = {"д": 0, "о": 1, "м": 2, " ": 3, "до": 4, "дом": 5}
    return Tokenizer(models.BPE(vocab=vocabulary, merges=[("д", "о"), ("до", "м")]))


def test_tokens_words_and_new_rows_are_counted(tokenizer: Tokenizer) -> None:
    found = count_tokens(tokenizer, ["дом до", "мод дом"], 4)
    assert found == TokenCounts(characters=13, tokens=8, words=4, whole_words=3, emitted=2)
    assert (found.characters_per_token, found.tokens_per_word) == (13 / 8, 2)


def test_long_texts_are_not_encoded_together(monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer) -> None:
    """Their tokens with offsets live together: 256 pieces of books were 6 GB."""
    monkeypatch.setattr(stock, "CHARACTERS", 12)
    sizes = []

    class Watched:
        get_vocab_size = tokenizer.get_vocab_size

        def encode_batch(self, texts: list[str], **options: Any) -> list[Encoding]:
            sizes.append([len(text) for text in texts])
            return tokenizer.encode_batch(texts, **options)

    texts = ["дом до", "мод", "мод дом", "дом", "дом" * 4]
    watched: Any = Watched()
    assert count_tokens(watched, texts, 4) == count_tokens(tokenizer, texts, 4)
    assert sizes[:2] == [[6, 3, 7], [3, 12]]


def test_without_new_rows_none_are_used(tokenizer: Tokenizer) -> None:
    assert count_tokens(tokenizer, ["дом до"]).emitted == 0
    assert count_tokens(tokenizer, ["мод"], 4).emitted == 0


def test_texts_without_russian_words_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="no Russian words in the texts"):
        count_tokens(tokenizer, [" ", ""])
