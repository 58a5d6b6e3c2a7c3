"""The lexicon as a whole: built from the shipped example archive, looked up, rebuilt, changed by hand.

Invariants of the tables are helpers (`assert_...`), so that every way of building is held to the same ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from hypertok.codec import marks
from hypertok.corpus.words import fold_yo
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.build import BuildResult, Recipe, build_lexicon
from hypertok.lexicon.lexicon import KIND, Lexicon, lexicon_manifest
from hypertok.lexicon.symbols import everyday_symbols

REPOSITORY = Path(__file__).resolve().parents[1]
VAULT = REPOSITORY / "examples" / "vault"
KEY = ["lemma", "pos", "kind"]
HEADER = "action\tlemma\tpos\ttarget\tnote\n"
Build = Callable[..., Lexicon]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a lexicon from texts (file name -> content) with overrides given as lines."""

    def run(texts: dict[str, str], name: str = "x.lexicon", overrides: str = "", **options: object) -> Lexicon:
        corpus = tmp_path / f"{name}.corpus"
        corpus.mkdir(exist_ok=True)
        for file, text in texts.items():
            (corpus / file).write_text(text, encoding="utf-8")
        if overrides:
            options["overrides"] = tmp_path / "overrides.tsv"
            (tmp_path / "overrides.tsv").write_text(HEADER + overrides, encoding="utf-8")
        build_lexicon(corpus, tmp_path / name, workers=1, **options)  # type: ignore[arg-type]
        return Lexicon.load(tmp_path / name)

    return run


def files_of(lexicon: Lexicon) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(lexicon.folder.iterdir())}


def symbols_of(lexicon: Lexicon) -> dict[tuple[str, ...], str]:
    return {(row[0], row[1], row[2]): row[3] for row in lexicon.concepts.select(*KEY, "symbol").iter_rows()}


def concept_keys(lexicon: Lexicon) -> set[tuple[str, str]]:
    return set(lexicon.concepts.select("lemma", "pos").iter_rows())


def code_words(lexicon: Lexicon, form: str) -> str:
    """The lemma of the concept by which a form is written, '' if it stays raw."""
    row = lexicon.book.main_row(form)
    return "" if row is None else str(lexicon.concepts["lemma"][lexicon.book.concept_at(row)])


def assert_consistent(lexicon: Lexicon) -> None:
    """Everything that must hold of any lexicon's tables."""
    concepts, forms = lexicon.concepts, lexicon.forms
    assert concepts.height
    assert forms.height
    assert concepts.null_count().sum_horizontal().item() == forms.null_count().sum_horizontal().item() == 0
    assert concepts["symbol"].is_unique().all()
    assert concepts.select(KEY).is_unique().all()
    assert set(concepts["symbol"].str.len_chars()) == {1}

    main = forms.filter("main")
    assert main["form"].is_unique().all(), "two main rows for one form"
    assert main.select("concept", "inflection", "variant").is_unique().all(), "two forms with one code"
    assert forms.select("form", "concept", "inflection").is_unique().all(), "a reading twice"
    assert main["variant"].max() <= len(marks.VARIANTS)

    sums = forms.group_by("form").agg(pl.col("probability").sum())["probability"]
    assert ((sums - 1).abs() < 1e-3).all(), "probabilities do not sum to 1"
    assert forms["probability"].is_between(0, 1.0001).all()
    assert (forms["count"] >= 0).all()
    assert (forms.filter(~pl.col("attested"))["count"] == 0).all()
    assert (forms.filter("attested").group_by("form").agg(pl.col("count").sum())["count"] > 0).all()

    order = forms.select("concept", "inflection")
    assert order.equals(order.sort("concept", "inflection"))
    by_form = forms["form"].gather(forms["by_form"])
    assert by_form.is_sorted()
    assert forms["concept"].max() < concepts.height
    words = concepts["lemma"].str.split(" ").list.len()
    assert (concepts["cases"].str.len_chars().cast(words.dtype) == words).all()


def assert_decodes(lexicon: Lexicon) -> None:
    """Every main form comes back from its own code, in its usual case and in others, never raw."""
    raw = []
    for form in lexicon.forms.filter("main")["form"].to_list():
        for surface in (form, form.capitalize(), form.upper()):
            code = lexicon.encode(surface)
            assert lexicon.decode(code) == surface
            if re.search("[а-яё]", code.lower()):
                raw.append(surface)
    assert not raw, raw[:20]


def test_the_vault_lexicon_is_consistent(vault_lexicon: Lexicon) -> None:
    assert_consistent(vault_lexicon)
    assert vault_lexicon.concepts.height > 2000


def test_the_small_lexicon_is_consistent(small_lexicon: Lexicon) -> None:
    assert_consistent(small_lexicon)


def test_every_form_decodes(small_lexicon: Lexicon) -> None:
    assert_decodes(small_lexicon)


def test_notes_of_the_vault_come_back_and_shrink(vault_lexicon: Lexicon) -> None:
    notes = sorted(VAULT.rglob("*.md"))
    assert len(notes) >= 30
    for note in notes:
        text = note.read_bytes().decode("utf-8")
        symbols = vault_lexicon.encode(text)
        assert vault_lexicon.decode(symbols) == text
        assert len(symbols) < 0.8 * len(text), note.name


def test_the_krebs_cycle_is_one_concept(vault_lexicon: Lexicon) -> None:
    found = vault_lexicon.explain("циклом Кребса")
    main = next(reading for reading in found.readings if reading.main)
    assert (main.concept.lemma, main.concept.kind) == ("цикл Кребса", "phrase")
    assert main.inflection == "sing,ablt"
    assert {"цикл кребса", "цикла кребса", "циклу кребса", "цикле кребса"} <= {f.form for f in found.forms}
    assert vault_lexicon.encode("Циклу Кребса")[1] == main.concept.symbol


def test_explain_a_word(vault_lexicon: Lexicon) -> None:
    found = vault_lexicon.explain("Печени")
    assert found.form == "печени"
    liver = everyday_symbols()["печень", "NOUN"]
    assert {r.concept.lemma for r in found.readings if r.main} == {"печень"}
    assert found.code[0] == liver == found.readings[0].concept.symbol
    assert sum(r.probability for r in found.readings) == pytest.approx(1, abs=1e-3)
    assert [r.main for r in found.readings].count(True) == 1
    by_form = {form.form: form for form in found.forms}
    assert by_form["печени"].attested
    assert not by_form["печенями"].attested
    assert by_form["печенями"].count == 0


@pytest.mark.parametrize("asked", ["елка", "Елка", "ЁЛКА", " ёлка ", "е\u0308лка", "ё\u0301лка"])
def test_explain_finds_yo(vault_lexicon: Lexicon, asked: str) -> None:
    assert fold_yo(vault_lexicon.explain(asked).form) == "елка"
    assert vault_lexicon.explain(asked).readings[0].concept.lemma == "ёлка"


def test_explain_a_symbol(vault_lexicon: Lexicon) -> None:
    found = vault_lexicon.explain(everyday_symbols()["печень", "NOUN"])
    assert found.form == "печень"


def test_explain_any_symbol_speaks_of_its_own_concept(vault_lexicon: Lexicon) -> None:
    wrong = []
    for symbol, lemma, pos in vault_lexicon.concepts.select("symbol", "lemma", "pos").iter_rows():
        try:
            found = vault_lexicon.explain(symbol)
        except InputError:
            wrong.append((lemma, pos, "not found"))
            continue
        own = [form.form for form in found.forms]
        main = next((r for r in found.readings if r.main), found.readings[0])
        if main.concept.symbol != symbol or not own:
            wrong.append((lemma, pos, main.concept.pos))
    assert not wrong, (len(wrong), wrong[:10])


@pytest.mark.parametrize("word", ["абракадаброид", "", " ", "hello", "42", "цикл  дождя", "\ud800", "❤❤"])
def test_explain_what_is_not_there(vault_lexicon: Lexicon, word: str) -> None:
    with pytest.raises(InputError, match=r"is not in .*overrides file"):
        vault_lexicon.explain(word)


def test_ambiguity_keeps_every_reading(small_lexicon: Lexicon) -> None:
    readings = small_lexicon.explain("печь").readings
    assert {(r.concept.lemma, r.concept.pos) for r in readings} == {("печь", "NOUN"), ("печь", "VERB")}
    assert all(0 < r.probability < 1 for r in readings)


def test_kinds_are_kept_apart(small_lexicon: Lexicon) -> None:
    kinds = {lemma: kind for lemma, _, kind in small_lexicon.concepts.select(KEY).iter_rows()}
    assert kinds["москва"] == kinds["анна"] == kinds["санкт-петербург"] == "name"
    assert kinds["эвм"] == kinds["нато"] == "abbreviation"
    assert kinds["вода"] == "word"
    assert kinds["цикл кребса"] == "phrase"


def test_usual_case_needs_no_mark(small_lexicon: Lexicon) -> None:
    for usual in ("Москва", "Санкт-Петербург", "ЭВМ", "вода", "цикл Кребса"):
        assert small_lexicon.encode(usual)[0] not in marks.CASE_MARKS, usual


def test_paradigms_are_completed(small_lexicon: Lexicon) -> None:
    forms = {form.form: form for form in small_lexicon.explain("прочитав").forms}
    assert forms["прочитав"].attested
    assert not forms["прочитаем"].attested
    assert {"прочитать", "прочитанными", "прочитай"} <= forms.keys()
    assert code_words(small_lexicon, "прочитаем") == "прочитать"


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


def test_add_a_word_and_a_phrase(build: Build) -> None:
    lines = "add\tмитохондрия\tNOUN\t\nadd\tмолочный шоколад\tNOUN\t🍩\n"
    lexicon = build({"а.md": "Кот спит на окне."}, overrides=lines)
    assert_consistent(lexicon)
    assert {("митохондрия", "NOUN"), ("молочный шоколад", "NOUN")} <= concept_keys(lexicon)
    assert lexicon.encode("молочный шоколад") == "🍩"
    assert lexicon.encode("молочным шоколадом")[0] == "🍩"
    assert len(lexicon.encode("митохондриями")) == 2
    assert not any(form.attested for form in lexicon.explain("митохондрия").forms)


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


def test_output_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "мои заметки").mkdir()
    (tmp_path / "мои заметки" / "важное.md").write_text("важно")
    with pytest.raises(ArtifactError):
        build_vault(tmp_path / "мои заметки", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["мои заметки"]


@pytest.mark.parametrize("table", ["concepts", "forms", "inflections", "sources"])
def test_a_damaged_table_is_refused(vault_lexicon: Lexicon, tmp_path: Path, table: str) -> None:
    for name, content in files_of(vault_lexicon).items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / f"{table}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{table}\.parquet: damaged"):
        Lexicon.load(tmp_path)
    path.unlink()
    with pytest.raises(ArtifactError, match="not there"):
        Lexicon.load(tmp_path)


def test_a_manifest_without_a_table_is_refused(vault_lexicon: Lexicon, tmp_path: Path) -> None:
    for name, content in files_of(vault_lexicon).items():
        (tmp_path / name).write_bytes(content)
    manifest = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    del manifest["files"]["forms.parquet"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"names no forms\.parquet"):
        Lexicon.load(tmp_path)


def test_the_manifest_tells_what_it_was_made_from(vault_lexicon: Lexicon) -> None:
    manifest = lexicon_manifest(vault_lexicon.folder)
    assert manifest == vault_lexicon.manifest
    assert manifest.kind == KIND
    assert set(manifest.parents) >= {"corpus", "shipped_data"}
    assert Recipe.model_validate(manifest.recipe) == Recipe()
    assert manifest.facts["concepts"] == vault_lexicon.concepts.height
    assert manifest.facts["words_in_lexicon"] <= manifest.facts["words"]


def test_marks_are_explained_in_the_artefact(vault_lexicon: Lexicon) -> None:
    table = pl.read_parquet(vault_lexicon.folder / "inflections.parquet")
    assert table["mark"].is_unique().all()
    roles = dict(table.group_by("role").len().iter_rows())
    assert roles["escape"] == 1
    assert roles["case"] == len(marks.CASE_MARKS)
    assert roles["variant"] == len(marks.VARIANTS)
