"""Lexicons of the example archive and of a few sentences: consistent, explained, and refused when damaged."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from conftest import VAULT
from lexicon_checks import KEY, assert_consistent, assert_decodes, code_words, files_of

from hypertok.archive.statistics import load_statistics
from hypertok.codec import marks
from hypertok.errors import ArtifactError, InputError
from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import KIND, Lexicon, lexicon_manifest
from hypertok.lexicon.recipe import Recipe
from hypertok.lexicon.symbols import everyday_symbols


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
    assert vault_lexicon.explain(asked).form.replace("ё", "е") == "елка"
    assert vault_lexicon.explain(asked).readings[0].concept.lemma == "ёлка"


def test_explain_a_symbol(vault_lexicon: Lexicon) -> None:
    found = vault_lexicon.explain(everyday_symbols()["печень", "NOUN"])
    assert vault_lexicon.explain(everyday_symbols()["печень", "NOUN"] + "\ufe0f") == found, "as keyboards write it"
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


def test_a_number_without_a_concept_is_refused(small_lexicon: Lexicon) -> None:
    last = small_lexicon.concepts.height - 1
    assert small_lexicon.concept(last).id == last
    for number in (-1, last + 1):
        with pytest.raises(InputError, match=f"{number}: no such concept; this lexicon has them from 0 to {last}"):
            small_lexicon.concept(number)


def test_exports_begin_with_what_is_frequent(small_lexicon: Lexicon) -> None:
    header, *lines = (line.split("\t") for line in small_lexicon.to_tsv().splitlines())
    assert header == ["symbol", "lemma", "pos", "kind", "count"]
    assert len(lines) == small_lexicon.concepts.height
    counts = [int(line[4]) for line in lines]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
    symbols = json.loads(small_lexicon.to_json())
    assert len(symbols) == len(lines)
    by_key = {(lemma, pos): symbol for symbol, lemma, pos, *_ in lines}
    often, rarer = (pos for _, lemma, pos, *_ in lines if lemma == "печь")
    assert (symbols["печь"], symbols[f"печь ({rarer})"]) == (by_key["печь", often], by_key["печь", rarer])


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


@pytest.mark.parametrize("table", ["concepts", "forms", "inflections", "sources"])
def test_a_damaged_table_is_refused(vault_lexicon: Lexicon, tmp_path: Path, table: str) -> None:
    for name, content in files_of(vault_lexicon).items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / f"{table}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"{table}\.parquet: changed or damaged"):
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
    assert manifest.kind == KIND.name
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


def test_brackets_in_a_name_are_no_pattern(tmp_path: Path) -> None:
    """Else «notes[1]» would be read from «notes1», or from nowhere."""
    notes = tmp_path / "notes[1]"
    notes.mkdir()
    (notes / "а.md").write_text("Печень болит. Печени больно, печенью болеют.\n\n" * 3, encoding="utf-8")
    build_lexicon(notes, tmp_path / "notes[1].lexicon", Recipe(), workers=1)
    lexicon = Lexicon.load(tmp_path / "notes[1].lexicon")
    assert lexicon.encode("печень") != "печень"
    assert lexicon.sources.height == 1
    assert lexicon.runs.height
    assert load_statistics(lexicon.folder).keys
