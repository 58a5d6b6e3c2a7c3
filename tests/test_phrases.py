"""Multiword concepts: what is found, how it is counted and inflected, and what does not matter for it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from corpus_reading import read_streams

from hypertok.corpus.documents import read_shard
from hypertok.corpus.records import Document
from hypertok.corpus.sources import plan_shards
from hypertok.corpus.stream import count_forms
from hypertok.lexicon.morphology import analyse
from hypertok.lexicon.phrases import Phrases, default_min_count, find_phrases

ROOT = Path(__file__).resolve().parent.parent

#: Every paragraph is a document of its own; the terms come in several cases and beside different words.
TEXT = """
Цикл Кребса идёт в митохондриях. Ганс открыл его после войны, и теперь каждый студент рисует схему на доске.

Для цикла Кребса нужен кислород, поэтому мышцы быстро устают без дыхания. Следующий пример показывает разницу.

Глюкоза подходит к циклу Кребса не сразу: сперва идёт гликолиз. Следующий пример разобран на семинаре.

Яд мешает циклу Кребса, и клетка гибнет. Следующий пример взят из учебника химии.

Вчера мы говорили о цикле Кребса, а завтра перейдём к белкам. Следующий пример проще.

Оперативная память дешевеет, и сосед купил ещё восемь гигабайт. Молодой человек в магазине посоветовал ему.

Программе не хватает оперативной памяти, поэтому она падает ночью. Я видел молодого человека с ноутбуком.

Мы заменили оперативную память и диск, но вентилятор всё ещё шумит. Подошёл молодой человек и помог нам.

За оперативной памятью следит ядро. Вечером молодому человеку позвонили из сервиса.

В базе данных лежат адреса клиентов. Бухгалтер проверяет их по пятницам, а потом уходит домой.

Он создал базу данных за неделю и показал её начальнику. Молодые люди долго спорили о схеме таблиц.

Резервная копия базы данных хранится в другом городе. Письмо пришло утром, когда кофе уже остыл.

Администратор чистит базы данных по ночам. Под окном цветёт сирень, и пахнет дождём.

На рынке ценных бумаг тихо. Сосед сверху опять играет гаммы, а кот спит на батарее.

Мы видели князя Андрея в саду. Весна наступила рано, и реки вышли из берегов.

Без князя Андрея скучно. Дети строили крепость из снега до самой темноты.

Про князя Андрея писали письма. Хозяйка варила варенье из вишни на веранде.

Она ждала князя Андрея зимой. Поезд опоздал на час, и перрон совсем опустел.

Закон о рынке ценных бумаг меняли. Ветер унёс шляпу, и прохожие засмеялись.

Участники рынка ценных бумаг молчат. Хлеб вышел пышным, потому что тесто стояло ночь.

Обзор рынка ценных бумаг читают банкиры. Старый мост закрыли на ремонт до осени.
"""


def find(*texts: str, **options: int) -> Phrases:
    streams, vocabulary = read_streams(*texts)
    analyses = analyse(vocabulary.forms, workers=1)
    counts = sum(count_forms(s, len(vocabulary.forms)) for s in streams).sum(axis=1)
    weights = analyses.prior * counts[analyses.form_index()]
    return find_phrases(lambda: streams, analyses, weights, **options)


def forms_of(found: Phrases, lemma: str) -> pl.DataFrame:
    row = found.phrases["lemma"].to_list().index(lemma)
    return found.forms.filter(phrase=row)


@pytest.fixture(scope="module")
def found() -> Phrases:
    return find(TEXT)


def assert_consistent(found: Phrases) -> None:
    """What holds for every result: base form first, counts add up, nothing listed twice."""
    assert found.phrases["lemma"].is_unique().all()
    assert found.phrases["count"].to_list() == sorted(found.phrases["count"], reverse=True)
    first = found.forms.group_by("phrase", maintain_order=True).first()
    assert first["form"].to_list() == found.phrases["lemma"].to_list()
    assert first["phrase"].to_list() == list(range(found.phrases.height))
    sums = found.forms.group_by("phrase", maintain_order=True).agg(pl.col("count").sum())
    assert sums["count"].to_list() == found.phrases["count"].to_list()
    assert found.forms.select("phrase", "form", "inflection").is_unique().all()
    assert found.forms.filter(~pl.col("attested"), pl.col("count") > 0).is_empty()
    lengths = found.phrases.select(pl.col("cases").list.len() == pl.col("lemma").str.split(" ").list.len()).to_series()
    assert lengths.all()


def test_terms_of_a_small_corpus_are_found_with_their_counts(found: Phrases) -> None:
    assert_consistent(found)
    counts = dict(found.phrases.select("lemma", "count").iter_rows())
    expected = {
        "цикл кребса": 5, "оперативная память": 4, "база данных": 4, "молодой человек": 5,
        "рынок ценных бумаг": 4,
    }  # fmt: skip
    assert expected.items() <= counts.items()


def test_free_combinations_names_and_fragments_are_not_terms(found: Phrases) -> None:
    lemmas = set(found.phrases["lemma"])
    assert "следующий пример" not in lemmas
    assert not any("андрея" in lemma for lemma in lemmas)
    assert not {"ценная бумага", "ценные бумаги", "рынок ценных"} & lemmas


def test_a_noun_that_frames_any_other_makes_a_term_only_with_one_it_is_bound_to() -> None:
    friends = ["брата", "сестры", "соседа", "учителя"]
    texts = [f"На день рождения {who} пришли гости. Подарок ко дню рождения купил {who} сын." for who in friends]
    texts += [f"День {noun} был долгим, а кот спал." for noun in ("отъезда", "приезда", "свадьбы", "экзамена")]
    texts += [f"Собака лает на {noun}." for noun in ("почтальона", "луну", "ветер", "поезд", "зонт", "тень")] * 4
    lemmas = set(find("\n\n".join(texts)).phrases["lemma"])
    assert "день рождения" in lemmas
    assert not any(lemma.startswith("день ") and lemma != "день рождения" for lemma in lemmas)


def test_an_eponym_at_the_beginning_of_sentences_is_no_person() -> None:
    texts = [f"Болезнь Крона {verb}. Врач сказал: болезнь Крона {verb}." for verb in ("лечится", "опасна", "редка")]
    texts += ["Ольга Петрова пришла. Вечером Ольга Петрова ушла.", "Ждали Ольгу Петрову. Об Ольге Петровой забыли."] * 2
    lemmas = set(find("\n\n".join(texts)).phrases["lemma"])
    assert "болезнь крона" in lemmas
    assert not any("петров" in lemma for lemma in lemmas)


def test_usual_cases(found: Phrases) -> None:
    cases = dict(found.phrases.select("lemma", "cases").iter_rows())
    assert cases["цикл кребса"] == [0, 1]
    assert cases["рынок ценных бумаг"] == [0, 0, 0]


def test_paradigm_is_complete_and_says_what_was_seen(found: Phrases) -> None:
    forms = {(form, key): seen for _, form, key, _, seen in forms_of(found, "цикл кребса").iter_rows()}
    assert forms["цикла кребса", "sing,gent"] is True
    assert forms["циклом кребса", "sing,ablt"] is False
    assert forms["циклами кребса", "plur,ablt"] is False
    memory = {key: form for _, form, key, _, _ in forms_of(found, "оперативная память").iter_rows()}
    assert memory["sing,ablt"] == "оперативной памятью"
    assert memory["plur,gent"] == "оперативных памятей"


def test_adjectives_agree_with_the_life_of_the_head() -> None:
    verbs = ("вынул", "купил", "уронил", "починил", "продал")
    text = "\n\n".join(f"Сосед {verb} жёсткий диск. Рядом {verb} хлеб молодой человек." for verb in verbs)
    found = find(TEXT, text)
    disk = {key: form for _, form, key, _, _ in forms_of(found, "жёсткий диск").iter_rows()}
    man = {key: form for _, form, key, _, _ in forms_of(found, "молодой человек").iter_rows()}
    assert (disk["sing,accs"], man["sing,accs"]) == ("жёсткий диск", "молодого человека")
    assert (disk["plur,accs"], man["plur,accs"]) == ("жёсткие диски", "молодых людей")


def test_every_attested_surface_is_in_the_table_even_without_yo() -> None:
    lines = ["жесткий диск гудит", "жесткого диска нет", "жёстким диском гордится", "имя файла длинное"]
    lines += ["имени файла мало", "имена файлов стёрты", "жёсткий диск цел", "имя файла потерялось"]
    found = find(*(f"{who} говорит: {line}, {why}." for line in lines for who, why in [
        ("Иван", "потому что стар"), ("сосед", "но молчит"), ("мастер", "хотя спешит")]))  # fmt: skip
    assert_consistent(found)
    seen = set(found.forms.filter(pl.col("attested"))["form"])
    assert {"жесткий диск", "жёсткий диск", "жесткого диска", "имена файлов", "имени файла"} <= seen
    names = {form: key for _, form, key, _, _ in forms_of(found, "имя файла").iter_rows()}
    assert names["имена файлов"] in ("plur,nomn", "plur,accs")


def test_a_term_met_only_in_the_plural_has_a_plural_base_form() -> None:
    lines = ["Хлебные крошки ведут домой", "Без хлебных крошек трудно", "Он рад хлебным крошкам"]
    lines += ["Дизайнер рисует хлебные крошки", "Сайт с хлебными крошками удобен"]
    found = find(TEXT, "\n\n".join(lines))
    assert "хлебные крошки" in found.phrases["lemma"].to_list()
    keys = forms_of(found, "хлебные крошки")["inflection"].to_list()
    assert keys[0] == "plur,nomn"
    assert "sing,nomn" in keys


def test_result_does_not_depend_on_how_the_corpus_is_cut() -> None:
    whole, pieces = find(TEXT), find(*(part for part in TEXT.split("\n\n")))
    assert whole.phrases.equals(pieces.phrases)
    assert whole.forms.equals(pieces.forms)


def test_limits() -> None:
    assert find("").phrases.is_empty()
    assert find("Слово.", "").forms.is_empty()
    assert find(TEXT, max_phrases=0).phrases.is_empty()
    assert find(TEXT, max_phrases=2).phrases.height == 2
    assert set(find(TEXT, min_count=5).phrases["lemma"]) == {"цикл кребса", "молодой человек"}
    assert [default_min_count(n) for n in (0, 1e4, 1e6, 4e6)] == [3, 3, 3, 6]


def test_progress_reaches_the_end() -> None:
    streams, vocabulary = read_streams(TEXT)
    analyses = analyse(vocabulary.forms, workers=1)
    calls: list[tuple[int, int]] = []
    find_phrases(
        lambda: streams,
        analyses,
        analyses.prior * 2,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls == [(n, len(calls)) for n in range(1, len(calls) + 1)]


def test_terms_of_the_example_notes() -> None:
    vault = ROOT / "examples" / "vault"
    plan = plan_shards(vault)
    prose = [item.prose for shard in plan.shards for item in read_shard(vault, shard) if isinstance(item, Document)]
    found = find(*prose)
    assert_consistent(found)
    wanted = {"цикл кребса", "оперативная память", "операционная система", "база данных"}
    assert wanted <= set(found.phrases["lemma"])
    assert forms_of(found, "цикл кребса").height >= 12
