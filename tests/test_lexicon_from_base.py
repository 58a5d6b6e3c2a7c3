"""What a base lexicon brings along: concepts that a stricter recipe would leave out, symbols given otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Build
from lexicon_checks import files_of, symbols_of
from typer.testing import CliRunner

from hypertok.cli.main import app
from hypertok.errors import ArtifactError
from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.recipe import Recipe

TEXT = (
    "Операционная система распределяет память. Операционную систему обновили. Операционной системе год. Кот спит. "
    "Комбайн убирал пшеницу. Комбайн ржавеет. "
)
RECIPE = Recipe(statistics=False)


@pytest.mark.parametrize("change", [{"min_count": 2}, {"max_concepts": 4}, {"phrases": False}])
def test_concepts_that_a_stricter_recipe_leaves_out_stay_and_are_counted(build: Build, change: dict[str, int]) -> None:
    stricter = RECIPE.model_copy(update=change)
    before = build({"а.md": TEXT}, recipe=RECIPE)
    alone = build({"а.md": TEXT}, "alone.lexicon", recipe=stricter)
    after = build({"а.md": TEXT}, recipe=stricter)
    missing = len(symbols_of(before).keys() - symbols_of(alone).keys())
    assert missing > 0
    assert symbols_of(after) == symbols_of(before)
    assert after.manifest.facts["kept_from_base"] == missing
    assert "kept_from_base" not in alone.manifest.facts, "built without a base"
    facts = after.manifest.facts
    assert facts["words_in_lexicon"] == before.manifest.facts["words_in_lexicon"] == facts["words"], "all are written"


def test_concepts_that_the_texts_lack_are_not_counted(build: Build) -> None:
    build({"а.md": TEXT}, recipe=RECIPE)
    after = build(
        {"а.md": "Осенью листья желтеют. Осенью листья падают."}, recipe=Recipe(statistics=False, min_count=2)
    )
    assert after.manifest.facts["kept_from_base"] == 0
    again = build({"а.md": TEXT}, recipe=RECIPE)
    assert again.manifest.facts["kept_from_base"] == 0, "as loose as ever"


def test_a_person_is_told_what_stays(small_corpus: Path, tmp_path: Path) -> None:
    command = ["build-lexicon", str(small_corpus), "-o", str(tmp_path / "x.lexicon"), "--no-statistics", "--workers=1"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    assert "stay" not in first.stderr
    again = CliRunner().invoke(app, [*command, "--max-concepts", "10"])
    assert again.exit_code == 0, again.output
    kept = Lexicon.load(tmp_path / "x.lexicon").manifest.facts["kept_from_base"]
    assert f"{kept:,} concepts of the lexicon that stood here stay, though --min-count, " in again.stderr
    assert "without them build into another OUTPUT\n" in again.stderr


def test_no_symbol_of_the_lexicon_that_is_replaced_comes_to_mean_another_concept(build: Build, tmp_path: Path) -> None:
    """Of concepts of the base and of new ones."""
    old = build({"а.md": "Мох и ель."}, "old.lexicon", recipe=RECIPE)
    notes = build({"а.md": "Мох и ель.", "б.md": "Жук и шмель."}, "notes.lexicon", recipe=RECIPE, base=old.folder)
    other = build({"а.md": "Шмель и жук. Жук, жук."}, "other.lexicon", recipe=RECIPE)
    kept = files_of(notes)
    for base, text in ((other, "Мох и ель."), (old, "Щука, щука, окунь и сом.")):
        with pytest.raises(ArtifactError, match=r"notes\.lexicon: .*leave out the base .*, or name another output"):
            build({"а.md": text, "б.md": text}, "notes.lexicon", recipe=RECIPE, base=base.folder)
        assert files_of(Lexicon.load(notes.folder)) == kept
    same = build_lexicon(tmp_path / "other.lexicon.corpus", notes.folder, RECIPE, base=notes.folder, workers=1)
    assert same.fresh, "its own base"


def test_a_lexicon_of_a_newer_program_is_not_replaced_over_a_base(build: Build) -> None:
    old = build({"а.md": "Мох и ель."}, "old.lexicon", recipe=RECIPE)
    newer = build({"а.md": "Жук и шмель."}, "notes.lexicon", recipe=RECIPE).folder / "manifest.json"
    content = json.loads(newer.read_bytes())
    newer.write_text(json.dumps({**content, "schema_version": content["schema_version"] + 1}), encoding="utf-8")
    before = newer.read_bytes()
    with pytest.raises(ArtifactError, match="written by a newer hypertok"):
        build({"а.md": "Мох и ель."}, "notes.lexicon", recipe=RECIPE, base=old.folder)
    assert newer.read_bytes() == before
