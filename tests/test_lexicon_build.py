"""Building: the same corpus is the same bytes, symbols are kept by rebuilding, overrides and strange corpora."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from conftest import VAULT
from lexicon_checks import KEY, assert_consistent, assert_decodes, code_words, files_of

from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.build import BuildResult, Recipe, build_lexicon
from hypertok.lexicon.lexicon import Lexicon

HEADER = "action\tlemma\tpos\ttarget\tnote\n"
Build = Callable[..., Lexicon]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a lexicon from texts (file name -> content) with overrides given as lines; without statistics, which take
    a process of their own and half of the time."""

    def run(texts: dict[str, str], name: str = "x.lexicon", overrides: str = "", **options: object) -> Lexicon:
        corpus = tmp_path / f"{name}.corpus"
        corpus.mkdir(exist_ok=True)
        for file, text in texts.items():
            (corpus / file).write_text(text, encoding="utf-8")
        if overrides:
            options["overrides"] = tmp_path / "overrides.tsv"
            (tmp_path / "overrides.tsv").write_text(HEADER + overrides, encoding="utf-8")
        options.setdefault("recipe", Recipe(statistics=False))
        build_lexicon(corpus, tmp_path / name, workers=1, **options)  # type: ignore[arg-type]
        return Lexicon.load(tmp_path / name)

    return run


def symbols_of(lexicon: Lexicon) -> dict[tuple[str, ...], str]:
    return {(row[0], row[1], row[2]): row[3] for row in lexicon.concepts.select(*KEY, "symbol").iter_rows()}


def concept_keys(lexicon: Lexicon) -> set[tuple[str, str]]:
    return set(lexicon.concepts.select("lemma", "pos").iter_rows())


def build_vault(output: Path, **options: object) -> BuildResult:
    return build_lexicon(VAULT, output, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_corpus_is_the_same_bytes(vault_lexicon: Lexicon, tmp_path: Path, workers: int) -> None:
    output = tmp_path / "другая папка" / f"{workers}.lexicon"
    assert build_vault(output, workers=workers).fresh
    assert files_of(Lexicon.load(output)) == files_of(vault_lexicon)
    assert sorted(path.name for path in output.parent.iterdir()) == [output.name]


def test_a_moved_corpus_is_the_same_corpus(build: Build) -> None:
    texts = {"а.md": "Вода в реке поднялась.", "б.md": "Печень и лёгкие."}
    assert files_of(build(texts, "x.lexicon")) == files_of(build(texts, "y.lexicon"))


def test_an_up_to_date_lexicon_is_left_alone(tmp_path: Path) -> None:
    output = tmp_path / "x.lexicon"
    first = build_vault(output, workers=1)
    written = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    again = build_vault(output, workers=1)
    assert first.fresh
    assert not again.fresh
    assert again.manifest == first.manifest
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == written
    assert build_vault(output, recipe=Recipe(min_count=2), workers=1).fresh


MORE = (
    "Комбайн убирал пшеницу и рожь. Зимой волки подходили к деревне. АТФ — топливо клетки. Печень здорова. "
    "Операционная система распределяет память. Операционную систему обновили. Операционной системе год. "
)


def test_more_text_keeps_every_symbol(build: Build) -> None:
    texts = {"а.md": "Вода в реке поднялась. Печень очищает кровь. Кот спит."}
    before = symbols_of(build(texts))
    after = build({**texts, "б.md": MORE * 3})
    assert_consistent(after)
    assert before.items() <= symbols_of(after).items()
    assert len(symbols_of(after)) > len(before)
    third = build({**texts, "в.md": "Ещё одна строка про осень и весну."})
    assert symbols_of(after).items() <= symbols_of(third).items()


def test_less_text_keeps_every_symbol_too(build: Build) -> None:
    before = symbols_of(build({"а.md": MORE, "б.md": "Кот спит."}))
    after = build({"а.md": "Совсем другое: оглавление."})
    assert_consistent(after)
    assert before.items() <= symbols_of(after).items()


def test_base_lends_its_symbols(build: Build) -> None:
    base = build({"а.md": MORE}, "base.lexicon")
    other = build({"а.md": "Осенью комбайн ржавеет. Волк и рожь. " * 3}, "other.lexicon", base=base.folder)
    assert_consistent(other)
    assert symbols_of(base).items() <= symbols_of(other).items()
    assert other.manifest.parents["base"] == base.sha256
    for form in base.forms.filter(pl.col("main") & pl.col("attested"))["form"]:
        assert code_words(other, form), f"{form} was a form of the base and is none any more"


def test_what_the_base_encoded_stays_readable(build: Build) -> None:
    text = "Комбайн убирал пшеницу. Волки подходили к деревне. Операционной системе год."
    base = build({"а.md": MORE}, "base.lexicon")
    other = build({"а.md": "Осенью комбайн ржавеет."}, "other.lexicon", base=base.folder)
    # Which case is the usual one, and so needs no mark, may change with the corpus.
    assert other.decode(base.encode(text)).lower() == text.lower()


def test_every_code_of_the_base_means_what_it_meant(build: Build) -> None:
    """Also of a form that is another concept's since («стали»), and of spellings that were the rarer ones («ёлки»)."""
    texts = "Мост из стали. Нож из стали. Сталь ржавеет. Лист стали тонок. У ёлки стоит стол. Под ёлкой лежит снег. "
    base = build({"а.md": texts * 3}, "base.lexicon")
    more = "Дни стали короче. Ночи стали длиннее. Дети стали петь. У елки тепло. Все елки в снегу. Мы у елки. "
    other = build({"а.md": more * 30}, "other.lexicon", base=base.folder)
    assert_consistent(other)
    assert (code_words(base, "стали"), code_words(other, "стали")) == ("сталь", "стать")
    assert other.encode("у ёлки") == base.encode("у ёлки")
    assert other.decode(base.encode("из стали у ёлки")) == "из стали у ёлки"
    for form in base.forms.filter("main")["form"]:
        code = base.book.code_of(form)
        assert code is not None
        assert other.book.form_at(*code[:3]) == base.book.form_at(*code[:3]), form
    assert_decodes(other)
    third = build({"а.md": "Весною тает снег. "}, "third.lexicon", base=other.folder)
    for lexicon in (base, other):
        for form in lexicon.forms.filter("main")["form"]:
            code = lexicon.book.code_of(form)
            assert code is not None
            assert third.book.form_at(*code[:3]) == lexicon.book.form_at(*code[:3]), form


def test_a_phrase_outside_its_paradigm_means_what_it_meant(build: Build) -> None:
    """Its inflection is the likeliest of the text at hand, and other text has another."""
    same = "Имя файла известно. Имя файла указано. Имя файла задано. Длинное имя файла. "
    subject = (
        "Имена файлов известны. Имена файлов указаны. Имена файлов заданы. Эти имена известны. Новые имена появились. "
    )
    object_ = "Мы меняем имена файлов. Он видит имена файлов. Программа читает имена файлов. Мы знаем имена. "
    for name, first, second in (("one", subject, object_), ("two", object_, subject)):
        base = build({"а.md": (same + first) * 3}, f"{name}-base.lexicon")
        other = build({"а.md": (same + second) * 3}, f"{name}.lexicon", base=base.folder)
        assert_consistent(other)
        assert other.decode(base.encode("Имена файлов")) == "Имена файлов"


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


@pytest.mark.parametrize("corpus", ["notes", "x.work"])
def test_a_folder_that_is_no_work_folder_is_left_alone(tmp_path: Path, corpus: str) -> None:
    """It would be removed in the end; in the worst case it is the corpus."""
    for name in {corpus, "x.work"}:
        (tmp_path / name).mkdir()
        (tmp_path / name / "важное.md").write_text("Печень и сердце — органы человека.", encoding="utf-8")
    with pytest.raises((ArtifactError, InputError), match=r"which is none of them|lies inside the corpus"):
        build_lexicon(tmp_path / corpus, tmp_path / "x", workers=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({corpus, "x.work"})
    assert [p.name for p in (tmp_path / "x.work").iterdir()] == ["важное.md"]


def test_overrides_that_change_while_texts_are_counted_are_those_that_were_read(tmp_path: Path) -> None:
    lines = tmp_path / "overrides.tsv"
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "а.md").write_text("Кот спит на окне.", encoding="utf-8")
    lines.write_text(HEADER + "add\tмитохондрия\tNOUN\t\n", encoding="utf-8")

    def edit(step: str, done: int, total: int) -> None:
        if step == "count":
            lines.write_text(HEADER + "add\tрибосома\tNOUN\t\n", encoding="utf-8")

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


def test_max_concepts(build: Build) -> None:
    lexicon = build({"а.md": MORE}, recipe=Recipe(max_concepts=5))
    assert_consistent(lexicon)
    assert lexicon.concepts.height == 5
    assert lexicon.decode(lexicon.encode(MORE)) == MORE


def test_a_form_whose_dominant_concept_is_cut_has_another(build: Build) -> None:
    text = "Печь стоит в избе. Старая печь. Она пекла хлеб. Он пёк хлеб. Мы пекли хлеб. Я пеку хлеб. Они пекут хлеб."
    lexicon = build({"а.md": text}, recipe=Recipe(max_concepts=2, phrases=False))
    assert_consistent(lexicon)
    assert lexicon.decode(lexicon.encode(text)) == text
    assert code_words(lexicon, "печь") == "печь", "the verb, whatever the noun weighed"


def test_a_word_of_three_readings_is_there_after_one_use(build: Build) -> None:
    """Each of them has less than half of it."""
    lexicon = build({"а.md": "Чей это дом?"})
    assert_consistent(lexicon)
    assert code_words(lexicon, "это")
    assert lexicon.concepts["count"].min() == 1


def test_an_unknown_word_needs_three_uses(build: Build) -> None:
    lexicon = build({"а.md": "Глокая куздра. " + "Бурмулик, бурмулик и бурмулик. " * 4})
    kinds = {lemma: kind for lemma, _, kind in lexicon.concepts.select(KEY).iter_rows()}
    assert "куздра" not in kinds
    assert kinds[code_words(lexicon, "бурмулик")] == "unknown"


@pytest.mark.parametrize("text", ["", "hello world 123", "\x00\x01\x02"])
def test_a_corpus_without_russian_is_refused(build: Build, tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="no Russian words"):
        build({"а.md": text})
    assert not (tmp_path / "x.lexicon").exists()


@pytest.mark.parametrize("text", ["я", "Ъ", "а-а", "ЁЁЁ", "х" * 5000, "о " * 2000])
def test_tiny_and_strange_corpora(build: Build, text: str) -> None:
    try:
        lexicon = build({"а.md": text})
    except InputError:
        return
    if lexicon.concepts.height:
        assert_consistent(lexicon)
    assert lexicon.decode(lexicon.encode(text)) == text


@pytest.mark.parametrize("schema", [0, 1, 2])
def test_an_output_that_cannot_be_read_is_to_be_restored_or_moved_away(
    small_corpus: Path, small_lexicon: Lexicon, tmp_path: Path, schema: int
) -> None:
    output = tmp_path / "x.lexicon"
    output.mkdir()
    for name, content in files_of(small_lexicon).items():
        (output / name).write_bytes(content)
    manifest = small_lexicon.manifest.model_copy(update={"schema_version": schema})
    (output / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    (output / "forms.parquet").write_bytes(b"damaged")
    with pytest.raises(ArtifactError) as caught:
        build_lexicon(small_corpus, output, workers=1)
    message = str(caught.value)
    assert str(output) in message
    assert "hypertok build-lexicon" not in message  # that is the command that fails
    assert ("upgrade" if schema == 2 else "restore that one from a copy, or move it away") in message
    assert not (tmp_path / "x.lexicon.work").exists()


def test_output_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "мои заметки").mkdir()
    (tmp_path / "мои заметки" / "важное.md").write_text("важно")
    with pytest.raises(ArtifactError):
        build_vault(tmp_path / "мои заметки", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["мои заметки"]
