"""The words around an ambiguous form decide what it means; all expected counts together are the words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hypertok.corpus.stream import BREAK, FIRST_FORM, Vocabulary, tokenize
from hypertok.errors import ArtifactError
from hypertok.lexicon.context import ContextModel
from hypertok.lexicon.context_guess import guessed_tag, with_guesses
from hypertok.lexicon.context_tags import neighbour_tag, pos_of, reduced_tag
from hypertok.lexicon.grammemes import concept_pos
from hypertok.lexicon.morphology import analyse, analyzer

TEXT = """Мы стали пить чай. Нож был сделан из стали, и мы стали точить его каждый день.

Его печь давно остыла, а она села печь пироги. Три стакана муки, три яйца.

Мой друг мыл мой чайник. Уж полночь близится, а Германна всё нет. Уж вполз на камень.
"""


def streams_of(text: str) -> tuple[list[np.ndarray], list[str]]:
    """One stream per paragraph, and the forms that number them."""
    vocabulary = Vocabulary()
    return [tokenize(part, vocabulary) for part in text.split("\n\n")], vocabulary.forms


def readings_of(sentence: str, form: str) -> list[tuple[str, str]]:
    """Lemma and part of speech chosen for each use of `form` in a sentence, with no corpus behind it."""
    vocabulary = Vocabulary()
    tokens = tokenize(sentence, vocabulary)
    analyses = analyse(vocabulary.forms, workers=1)
    rows = ContextModel.load().choose(tokens, analyses, np.zeros(len(analyses.tag)))
    wanted = FIRST_FORM + vocabulary.forms.index(form)
    return [
        (analyses.lemmas[analyses.lemma[row]], concept_pos(analyses.tags[analyses.tag[row]]))
        for row in rows[tokens >> 2 == wanted].tolist()
    ]


@pytest.mark.parametrize(
    ("sentence", "form", "lemma", "pos"),
    [
        ("Мы стали пить чай.", "стали", "стать", "VERB"),
        ("Нож был сделан из стали.", "стали", "сталь", "NOUN"),
        ("Его печь давно остыла.", "печь", "печь", "NOUN"),
        ("Бабушка будет печь пироги.", "печь", "печь", "VERB"),
        ("На столе стояло три стакана.", "три", "три", "NUM"),
        ("Это мой старый друг.", "мой", "мой", "ADJ"),
        ("Я видел его вчера.", "его", "он", "PRON"),
        ("Он взял его книгу.", "его", "его", "ADJ"),
        ("Вода течёт из крана.", "из", "из", "PREP"),
        ("Она знала, что он уже пришёл.", "уже", "уже", "ADV"),
        ("В нашем доме новые окна.", "доме", "дом", "NOUN"),
    ],
)
def test_neighbours_decide(sentence: str, form: str, lemma: str, pos: str) -> None:
    assert readings_of(sentence, form) == [(lemma, pos)]


def test_expected_counts_sum_to_the_words_of_the_corpus() -> None:
    streams, forms = streams_of(TEXT)
    analyses = analyse(forms, workers=1)
    weights = ContextModel.load().estimate(lambda: streams, analyses)
    ids = np.concatenate(streams) >> 2
    uses = np.bincount(ids[ids >= FIRST_FORM] - FIRST_FORM, minlength=len(forms))
    assert weights.min() >= 0
    np.testing.assert_allclose(np.add.reduceat(weights, analyses.offsets[:-1]), uses, rtol=1e-6)


def test_same_corpus_same_bits_and_shards_do_not_matter() -> None:
    streams, forms = streams_of(TEXT)
    analyses, model = analyse(forms, workers=1), ContextModel.load()
    weights = model.estimate(lambda: streams, analyses)
    assert np.array_equal(weights, model.estimate(lambda: iter(streams), analyses))
    whole = model.estimate(lambda: [np.concatenate(streams)], analyses)
    np.testing.assert_allclose(weights, whole, rtol=1e-6, atol=1e-9)


def test_blocks_of_a_long_stream_see_across_their_borders() -> None:
    """A stream much longer than a block gives every repetition of a text the same choice."""
    streams, forms = streams_of(TEXT)
    analyses, model = analyse(forms, workers=1), ContextModel.load()
    once = np.concatenate(streams)
    times = (3 << 16) // len(once)
    chosen = model.choose(np.tile(once, times), analyses, np.zeros(len(analyses.tag)))
    assert (chosen.reshape(times, -1) == chosen[: len(once)]).all()


def test_a_corpus_shifts_what_a_form_alone_means() -> None:
    """After many «из стали» the form alone is the metal, after many «мы стали» the verb."""
    for phrase, lemma in (("Ножи делают из стали.", "сталь"), ("Мы стали пить.", "стать")):
        streams, forms = streams_of(phrase * 20)
        analyses, model = analyse(forms, workers=1), ContextModel.load()
        share = model.probabilities(analyses, model.estimate(lambda s=streams: s, analyses))
        rows = slice(*analyses.offsets[forms.index("стали") :][:2])
        by_lemma = dict.fromkeys(analyses.lemmas, 0.0)
        for n, p in zip(analyses.lemma[rows], share[rows], strict=True):
            by_lemma[analyses.lemmas[n]] += p
        assert by_lemma[lemma] > 0.8
        np.testing.assert_allclose(np.add.reduceat(share, analyses.offsets[:-1]), 1, rtol=1e-6)


def test_a_form_beyond_the_corpus_has_probabilities_too() -> None:
    analyses, model = analyse(["стали", "крэйг"], workers=1), ContextModel.load()
    share = model.probabilities(analyses, np.zeros(len(analyses.tag)))
    np.testing.assert_allclose(np.add.reduceat(share, analyses.offsets[:-1]), 1, rtol=1e-6)


def test_only_words_get_an_analysis() -> None:
    vocabulary = Vocabulary()
    tokens = tokenize("Да, 12 apples — нет!", vocabulary)
    analyses = analyse(vocabulary.forms, workers=1)
    rows = ContextModel.load().choose(tokens, analyses, np.zeros(len(analyses.tag)))
    assert ((rows >= 0) == (tokens >> 2 >= FIRST_FORM)).all()
    assert tokens[-1] >> 2 == BREAK


def test_nothing_in_nothing_out() -> None:
    analyses, model = analyse(["дом"], workers=1), ContextModel.load()
    assert model.estimate(lambda: [], analyses).sum() == 0
    assert not len(model.choose(np.zeros(0, np.uint32), analyses, np.zeros(len(analyses.tag))))


def test_saved_model_is_the_same_bytes_and_the_same_model(tmp_path: Path) -> None:
    model = ContextModel.load()
    model.save(tmp_path / "a.npz")
    model.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = ContextModel.load(tmp_path / "a.npz")
    assert again.inventory.lexical == model.inventory.lexical
    np.testing.assert_allclose(again.weights.tag, model.weights.tag, atol=0.05)


def test_damaged_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not a model")
    with pytest.raises(ArtifactError, match=r"bad\.npz"):
        ContextModel.load(tmp_path / "bad.npz")


def test_every_tag_of_the_dictionary_is_one_the_model_knows() -> None:
    known = set(ContextModel.load().inventory.tags)
    tags = [str(tag) for tag in analyzer().dictionary.gramtab]
    assert {reduced_tag(t) for t in tags} <= known
    for tag in tags:
        assert pos_of(reduced_tag(tag)) == concept_pos(tag)
        assert neighbour_tag(neighbour_tag(reduced_tag(tag))) == neighbour_tag(reduced_tag(tag))


def test_unknown_word_may_be_in_its_base_form() -> None:
    analyses = analyse(["крэйг", "крэйгом", "рэу", "дом"], workers=1)
    guessed = with_guesses(analyses)
    lemmas = [{guessed.lemmas[n] for n in guessed.lemma[guessed.offsets[f] : guessed.offsets[f + 1]]} for f in range(4)]
    assert "крэйг" in lemmas[0]
    assert "крэйгом" not in lemmas[1]
    assert "рэу" in lemmas[2]
    assert lemmas[3] == {analyses.lemmas[n] for n in analyses.lemma[analyses.offsets[3] :]}
    np.testing.assert_allclose(np.add.reduceat(guessed.prior, guessed.offsets[:-1]), 1, rtol=1e-5)
    assert np.array_equal(with_guesses(guessed).tag, guessed.tag)


@pytest.mark.parametrize("form", ["филлипсу", "митчеллом", "новых", "ы"])
def test_no_guess_for_what_looks_inflected(form: str) -> None:
    assert guessed_tag(form, ["NOUN,anim,masc,Name sing,datv"]) is None
