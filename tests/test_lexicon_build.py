"""Building: the same corpus is the same bytes, symbols are kept by rebuilding, strange corpora."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import VAULT, Build
from lexicon_checks import KEY, assert_consistent, assert_decodes, code_words, files_of, symbols_of

from hypertok.artifact import sha256_of
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon import build as building
from hypertok.lexicon.build import BuildResult, build_lexicon
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.recipe import Recipe


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


def test_an_up_to_date_lexicon_is_left_alone(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "x.lexicon"
    first = build_lexicon(small_corpus, output, workers=1)
    written = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    again = build_lexicon(small_corpus, output, workers=1)
    assert first.fresh
    assert not again.fresh
    assert again.manifest == first.manifest
    monkeypatch.chdir(tmp_path)
    assert not build_lexicon(small_corpus, output, base="x.lexicon", workers=1).fresh, "its own base, by another path"
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == written
    assert build_lexicon(small_corpus, output, recipe=Recipe(min_count=2), workers=1).fresh


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


def test_what_was_text_stays_text_when_it_becomes_a_symbol(build: Build) -> None:
    text = "Кот спит ❤ и 🎉, ☀ 水, 20 °C и €."
    before = build({"а.md": "Кот спит."})
    written = before.encode(text)
    after = build({"а.md": "Кот спит.", "б.md": "Любовь и праздник. Вода и солнце. Градус, евро."})
    assert set("❤☀水°€") & symbols_of(after).keys() == set() < set("❤☀水°€") & set(symbols_of(after).values())
    assert after.decode(written) == text


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


def test_every_step_is_told_to_its_end(build: Build) -> None:
    """Where there are words and no phrases, too."""
    told: dict[str, tuple[int, int]] = {}
    build({"а.txt": "Печень."}, progress=lambda step, *far: told.__setitem__(step, far))
    assert "phrases" in told
    assert all(done == total for done, total in told.values()), told


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
    lexicon = build({"а.md": text})
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


def test_texts_that_are_gone_at_the_second_reading_are_told(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive's statistics would be those of nothing, and the lexicon up to date for good."""
    corpus = tmp_path / "corpus"
    shutil.copytree(small_corpus, corpus)
    moved = corpus.rename(tmp_path / "elsewhere")
    counted = building.count_corpus

    def count_and_lose(root: Path, *given: Any, **named: Any) -> Any:
        found = counted(root, *given, **named)
        corpus.rename(moved)
        return found

    monkeypatch.setattr(building, "count_corpus", count_and_lose)
    moved.rename(corpus)
    with pytest.raises(InputError, match="not what it was when its words were counted"):
        build_lexicon(corpus, tmp_path / "x.lexicon", workers=1)
    assert not (tmp_path / "x.lexicon").exists()
    monkeypatch.undo()
    moved.rename(corpus)
    assert build_lexicon(corpus, tmp_path / "x.lexicon", workers=1).fresh


def test_every_shipped_table_is_a_reason_to_build_anew() -> None:
    """`context.npz` and its like; a table that is forgotten would leave a lexicon as up to date."""
    told = building._shipped_data().split()
    shipped = (Path(__file__).parents[1] / "lexicon" / "ru").iterdir()
    assert sorted(told) == sorted(sha256_of(path)[:16] for path in shipped)


def test_a_kill_while_finished_work_is_removed_leaves_no_half_of_it(
    small_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, **named: bool) -> None:
        if folder.name == ".x.lexicon.work.gone" and folder.exists():
            next(folder.rglob("reports.json")).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hypertok.replacing.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            build_lexicon(small_corpus, tmp_path / "x.lexicon", workers=1)
    assert not (tmp_path / "x.lexicon.work").exists()
    assert not build_lexicon(small_corpus, tmp_path / "x.lexicon", workers=1).fresh
    assert [path.name for path in tmp_path.iterdir()] == ["x.lexicon"]


def test_both_parts_of_a_compound_may_inflect(build: Build) -> None:
    text = "Для компании-производителя. Договор с компанией-производителем. Письмо компании-производителю. "
    lexicon = build({"а.md": text * 3})
    forms = set(lexicon.forms.filter(pl.col("main"))["form"])
    assert {"компании-производителя", "компанией-производителем"} <= forms
    assert not {"компанией-производитель", "компанией-производителю"} & forms, "the first part is no prefix"
    assert_decodes(lexicon)


def test_a_corpus_that_never_was_has_not_vanished(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("nothing", "dangling"):
        with pytest.raises(InputError, match=f"{name}: no such file or folder; give a folder or a file with text"):
            build_lexicon(tmp_path / name, tmp_path / "x.lexicon", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["dangling"]


@pytest.mark.parametrize("letter", ["е", "ё"])
def test_phrases_are_found_with_both_spellings(build: Build, letter: str) -> None:
    text = (
        "В нём ж*сткий диск. На ж*стком диске лежат данные. Объём ж*сткого диска мал. Старый ж*сткий диск сломан. "
        "С ж*сткого диска читают. Ж*сткому диску нужен шкаф. "
    )
    lexicon = build({"а.md": text.replace("*", letter) * 4})
    assert_consistent(lexicon)
    assert_decodes(lexicon)
    symbol = lexicon.encode(f"ж{letter}сткий диск")[0]
    for words in ("ж*сткий диск", "ж*сткого диска", "ж*стких дисков", "ж*сткими дисками"):
        for other in "её":
            code = lexicon.encode(words.replace("*", other))
            assert code[0] == symbol, words
            assert " " not in code, words


def test_output_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "мои заметки").mkdir()
    (tmp_path / "мои заметки" / "важное.md").write_text("важно")
    with pytest.raises(ArtifactError):
        build_vault(tmp_path / "мои заметки", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["мои заметки"]
