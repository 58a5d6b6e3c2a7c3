"""Building with a file of overrides: concepts added, forbidden and merged, and what cannot be done is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import OVERRIDES_HEADER, Build
from lexicon_checks import assert_consistent, assert_decodes, code_words, concept_keys, symbols_of

from hypertok.errors import InputError
from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.recipe import Recipe


def test_an_added_concept_is_there_however_few_are_kept(build: Build) -> None:
    lines, few = "add\tцикл кребса\tNOUN\t\n", Recipe(max_concepts=2)
    lexicon = build({"а.md": "Кот спит на окне. Кот ест рыбу."}, overrides=lines, recipe=few)
    assert ("цикл кребса", "NOUN") in concept_keys(lexicon)
    assert len(concept_keys(lexicon)) == 3
    base = build({"а.md": "Кот спит на окне. Кот ест рыбу."}, "base.lexicon", recipe=few)
    other = build({"а.md": "Кот спит."}, "other.lexicon", overrides=lines, recipe=few, base=base.folder)
    assert concept_keys(other) == concept_keys(base) | {("цикл кребса", "NOUN")}


def test_a_misspelling_that_is_merged_is_no_concept_of_its_own(build: Build) -> None:
    text = "Агентство сообщило. Агенство сообщило. Об агентстве. Об агенстве. Агенства закрыты. " * 3
    lexicon = build({"а.md": text}, overrides="merge\tагенство\tNOUN\tагентство\n")
    assert_consistent(lexicon)
    assert [key for key in symbols_of(lexicon) if key[0].startswith("аген")] == [("агентство", "NOUN", "word")]
    assert code_words(lexicon, "агенстве") == code_words(lexicon, "агентстве") == "агентство"
    assert_decodes(lexicon)


def test_a_concept_that_was_forbidden_is_told_so(build: Build) -> None:
    text = {"а.md": "Стекло разбилось. Молоко стекло по стене. Кот спит."}
    base = build(text, "base.lexicon")
    other = build(text, overrides="forbid\tстекло\tNOUN\nforbid\tкот\tNOUN\n", base=base.folder)
    for lemma in ("стекло", "кот"):
        symbol = symbols_of(base)[lemma, "NOUN", "word"]
        with pytest.raises(InputError, match=f"'{lemma}' keeps its symbol and has no forms"):
            other.explain(symbol)


def test_overrides_that_change_while_texts_are_counted_are_those_that_were_read(tmp_path: Path) -> None:
    lines = tmp_path / "overrides.tsv"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "а.md").write_text("Кот спит на окне.", encoding="utf-8")
    lines.write_text(OVERRIDES_HEADER + "add\tмитохондрия\tNOUN\t\n", encoding="utf-8")

    def edit(step: str, done: int, total: int) -> None:
        if step == "count":
            lines.write_text(OVERRIDES_HEADER + "add\tрибосома\tNOUN\t\n", encoding="utf-8")

    build_lexicon(tmp_path / "notes", tmp_path / "x.lexicon", overrides=lines, workers=1, progress=edit)
    assert ("митохондрия", "NOUN") in concept_keys(Lexicon.load(tmp_path / "x.lexicon"))
    assert build_lexicon(tmp_path / "notes", tmp_path / "x.lexicon", overrides=lines, workers=1).fresh
    assert ("рибосома", "NOUN") in concept_keys(Lexicon.load(tmp_path / "x.lexicon"))


def test_add_a_word_and_a_phrase(build: Build) -> None:
    lines = "add\tмитохондрия\tNOUN\t\nadd\tмолочный шоколад\tNOUN\t🍩\n"
    lexicon = build({"а.md": "Кот спит на окне."}, overrides=lines)
    assert_consistent(lexicon)
    assert {("митохондрия", "NOUN"), ("молочный шоколад", "NOUN")} <= concept_keys(lexicon)
    assert lexicon.encode("молочный шоколад") == "🍩"
    assert lexicon.encode("молочным шоколадом")[0] == "🍩"
    assert len(lexicon.encode("митохондриями")) == 2
    assert not any(form.attested for form in lexicon.explain("митохондрия").forms)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "add\tделать\tNOUN\n",
            r"overrides\.tsv:2: there is no concept 'делать' NOUN to add; .* reads it as делать VERB",
        ),
        ("add\tочень хорошо\tNOUN\n", r"overrides\.tsv:2: the added concept 'очень хорошо' has no noun"),
        (
            "add\tмолочный шоколад\tADJ\n",
            r"overrides\.tsv:2: there is no concept 'молочный шоколад' ADJ to add; several words are a NOUN: give that",
        ),
        ("add\tмама-то\tNOUN\n", r"'мама-то' NOUN to add; word and particle are two concepts: add the word alone"),
        ("add\tкто-то\tNOUN\n", r"'кто-то' NOUN to add; pymorphy3 reads it as кто-то PRON"),
    ],
)
def test_what_cannot_be_added_is_refused_by_its_line(build: Build, line: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        build({"а.md": "Кот спит на окне."}, overrides=line)


def test_forbid_a_word_and_a_phrase(build: Build) -> None:
    text = "Стекло разбилось. Молоко стекло по стене. Операционная система. Операционной системы. " * 4
    plain = build({"а.md": text}, "plain.lexicon")
    assert code_words(plain, "операционная система") == "операционная система"
    lines = "forbid\tстекло\tNOUN\nforbid\tоперационная система\tNOUN\n"
    lexicon = build({"а.md": text}, overrides=lines)
    assert_consistent(lexicon)
    assert not {("стекло", "NOUN"), ("операционная система", "NOUN")} & concept_keys(lexicon)
    assert code_words(lexicon, "стекло") == "стечь"
    assert lexicon.forms.filter(form="стекло")["count"].sum() == pytest.approx(8), "its uses are those of the verb now"
    assert code_words(lexicon, "операционная система") == ""


def test_merge(build: Build) -> None:
    lexicon = build({"а.md": "Печень и печёнка. О печёнке."}, overrides="merge\tпечёнка\tNOUN\tпечень\n")
    assert_consistent(lexicon)
    assert ("печёнка", "NOUN") not in concept_keys(lexicon)
    assert code_words(lexicon, "печёнке") == code_words(lexicon, "печени") == "печень"
    assert_decodes(lexicon)


def test_overrides_change_an_existing_lexicon(build: Build) -> None:
    texts = {"а.md": "Стекло разбилось. Печень и печёнка."}
    before = symbols_of(build(texts))
    lexicon = build(texts, overrides="merge\tпечёнка\tNOUN\tпечень\nadd\tмитохондрия\tNOUN\n")
    assert_consistent(lexicon)
    assert before.items() <= symbols_of(lexicon).items()
    assert code_words(lexicon, "печёнка") == "печень"
    assert ("митохондрия", "NOUN") in concept_keys(lexicon)


def test_a_wrong_overrides_file_stops_the_build_before_any_work(build: Build, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"overrides\.tsv:2: unknown action"):
        build({"а.md": "Кот."}, overrides="remove\tкот\tNOUN\n")
    assert not (tmp_path / "x.lexicon").exists()
    assert not (tmp_path / "x.lexicon.work").exists()


@pytest.mark.parametrize("given", [True, False])
def test_a_symbol_that_the_base_has_given_is_not_given_again(build: Build, given: bool) -> None:
    text = {"а.md": "Печень очищает кровь. Кот спит."}
    base = build(text)
    symbol = symbols_of(base)["кот", "NOUN", "word"]
    options = {"name": "other.lexicon", "base": base.folder} if given else {}
    says = "choose another one, or build into another OUTPUT, without --base: symbols are then given anew"
    with pytest.raises(InputError, match=f"'печень' clashes with the base lexicon .'кот' has '{symbol}'.*{says}"):
        build(text, overrides=f"add\tпечень\tNOUN\t{symbol}\n", **options)
    anew = build(text, "anew.lexicon", overrides=f"add\tпечень\tNOUN\t{symbol}\n")
    assert symbols_of(anew)["печень", "NOUN", "word"] == symbol


MERGES = {
    "a word into a name": ("столица", "москва", "name", "Столица Москва. В столице тепло. Из столицы в Москву. "),
    "a name into a word": ("москва", "столица", "word", "Столица Москва. В столице тепло. Из столицы в Москву. "),
    "a word into an unknown": ("эфир", "эфириум", "word", "Курс эфира. Где эфир. О эфириуме. Эфириум и эфириум. "),
}


@pytest.mark.parametrize("name", MERGES)
def test_a_merge_makes_one_concept_of_two_kinds(build: Build, name: str) -> None:
    lemma, target, kind, text = MERGES[name]
    lexicon = build({"а.md": text * 2}, overrides=f"merge\t{lemma}\tNOUN\t{target}\n")
    assert_consistent(lexicon)
    assert_decodes(lexicon)
    found = [key for key in symbols_of(lexicon) if key[0] in (lemma, target)]
    assert found == [(target, "NOUN", kind)]
    assert code_words(lexicon, lemma) == code_words(lexicon, target) == target


def test_a_patronymic_that_the_dictionary_spells_otherwise_is_one_name(build: Build) -> None:
    """The file that is shipped merges it."""
    lexicon = build({"а.md": "Пётр Михайлович. Петра Михайловича. К Михайловичу. С Михайловичем. Михайловичи. "})
    assert [key for key in symbols_of(lexicon) if key[0].startswith("миха")] == [("михайлович", "NOUN", "name")]


@pytest.mark.parametrize(
    ("lemma", "text", "spellings"),
    [
        (
            "цикл кребса",
            "Кот спит на окне.",
            ("цикл Кребса", "Цикл Кребса", "циклом Кребса", "цикл кребса", "ЦИКЛ КРЕБСА"),
        ),
        ("болезнь альцгеймера", "У Альцгеймера. От Альцгеймера. Об Альцгеймере.", ("болезнь Альцгеймера",)),
        ("закон рф", "Кот спит на окне.", ("закон РФ", "закона РФ", "Закон РФ")),
        (
            "роза ветров",
            "Роза цветёт. Роза пахнет. Роза. Ветров сегодня не будет.",
            ("роза ветров", "Роза ветров", "розы ветров"),
        ),
    ],
)
def test_names_in_added_phrases_are_written_as_names(
    build: Build, lemma: str, text: str, spellings: tuple[str, ...]
) -> None:
    """By the corpus where it has the word, else by the dictionary."""
    lexicon = build({"а.md": text}, overrides=f"add\t{lemma}\tNOUN\t\n")
    assert_consistent(lexicon)
    for spelling in spellings:
        code = lexicon.encode(spelling)
        assert not re.search("[а-яё]", code, re.IGNORECASE), spelling
        assert lexicon.decode(code) == spelling


@pytest.mark.parametrize(
    ("lemma", "others", "wrong"),
    [
        (
            "ромашка аптечная",
            "ромашки аптечной, ромашку аптечную, ромашкой аптечной, ромашки аптечные, ромашками аптечными",
            "ромашкой аптечная",
        ),
        ("человек разумный", "человека разумного, человеком разумным, о человеке разумном", "человеком разумный"),
        (
            "переменная среды",
            "переменной среды, переменную среды, переменные среды, переменных среды, переменными среды",
            "переменных сред",
        ),
        ("рынок ценных бумаг", "рынка ценных бумаг, рынками ценных бумаг", "рынка ценной бумаги"),
        ("случайная величина", "случайной величины, случайные величины", "случайная величины"),
        ("кривая спроса", "кривой спроса, кривые спроса, кривую спроса", "кривейшая спроса"),
        ("журнал новый мир", "журнала новый мир, журналом новый мир", "журнала нового мир"),
        ("бизнес малый и средний", "бизнеса малого и среднего, бизнесом малым и средним", "бизнеса малого и средний"),
    ],
)
def test_what_inflects_in_an_added_phrase(build: Build, lemma: str, others: str, wrong: str) -> None:
    lexicon = build({"а.md": "Кот спит на окне."}, overrides=f"add\t{lemma}\tNOUN\t\n")
    assert_consistent(lexicon)
    assert_decodes(lexicon)
    for form in (lemma, *others.split(", ")):
        assert code_words(lexicon, form.removeprefix("о ")) == lemma, form
    assert code_words(lexicon, wrong) != lemma


@pytest.mark.parametrize("lemma", ["жёсткий диск", "жесткий диск"])
def test_an_added_phrase_has_both_spellings(build: Build, lemma: str) -> None:
    lexicon = build({"а.md": "Кот спит на окне."}, overrides=f"add\t{lemma}\tNOUN\t\n")
    assert_consistent(lexicon)
    assert_decodes(lexicon)
    for form in ("жёсткий диск", "жесткий диск", "жёсткого диска", "жесткого диска", "жестких дисках"):
        assert code_words(lexicon, form) == lemma, form
