"""The overrides file: what it may say, how two files add up, and where a wrong line is named."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from conftest import OVERRIDES_HEADER as HEADER

from hypertok.data import data_file
from hypertok.errors import InputError
from hypertok.lexicon.overrides import Overrides, read_overrides

N = "NOUN"
A, B, C = ("а", N), ("б", N), ("в", N)


def read(tmp_path: Path, body: str, header: str = HEADER) -> Overrides:
    path = tmp_path / "overrides.tsv"
    path.write_bytes((header + body).encode("utf-8"))
    return read_overrides(path)


def rows(*keys: tuple[str, str]) -> pl.DataFrame:
    table = pl.DataFrame(keys, schema={"lemma": pl.String, "pos": pl.String}, orient="row")
    return table.with_row_index("n").with_columns(kind=pl.lit("word"))


def test_the_shipped_file_is_sound() -> None:
    read_overrides(data_file("overrides.tsv"))


def test_what_a_file_says(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "# свои термины\n\n"
        "add\tцикл кребса\tNOUN\t⚗\tиз учебника\n"
        "add\tкое-кто\tPRON\r\n"
        "forbid\tстекло\tNOUN\t\n"
        "merge\tпечёнка\tNOUN\tпечень\tодно и то же\n",
    )
    assert found.add == {("цикл кребса", N): "⚗", ("кое-кто", "PRON"): ""}
    assert found.forbid == {("стекло", N)}
    assert found.merge == {("печёнка", N): "печень"}


def test_a_file_from_a_spreadsheet(tmp_path: Path) -> None:
    found = read(tmp_path, "forbid\tстекло\tNOUN\t\t\r\n", header="\ufeff" + HEADER.replace("\n", "\r\n"))
    assert found.forbid == {("стекло", N)}


@pytest.mark.parametrize("body", ["", "\n\n", "# ничего\n"])
def test_an_empty_file_changes_nothing(tmp_path: Path, body: str) -> None:
    assert read(tmp_path, body) == Overrides()
    assert read(tmp_path, body, header="") == Overrides()


WRONG = {
    "an unknown action": ("delete\tпечень\tNOUN", "unknown action 'delete'"),
    "no lemma": ("add\t\tNOUN", "the lemma ''"),
    "a capital": ("add\tМосква\tNOUN", "lower case"),
    "a Latin look-alike": ("add\tпeчень\tNOUN", "Cyrillic"),
    "a stress mark": ("add\tза\u0301мок\tNOUN", "stress"),
    "a letter in two parts": ("add\tе\u0308лка\tNOUN", "Cyrillic"),
    "a typographic hyphen": ("add\tкое‐кто\tPRON", "the lemma"),
    "two spaces": ("add\tцикл  кребса\tNOUN", "single spaces"),
    "a number": ("add\t42\tNOUN", "the lemma"),
    "no part of speech": ("add\tпечень", "unknown part of speech ''"),
    "pymorphy's part of speech": ("add\tбольшой\tADJF", "expected one of ADJ, ADV"),
    "a merge into nothing": ("merge\tпечёнка\tNOUN", "single words"),
    "a merge into a phrase": ("merge\tпечёнка\tNOUN\tцикл кребса", "single words"),
    "a merge of a phrase": ("merge\tцикл кребса\tNOUN\tцикл", "single words"),
    "a merge into a capital": ("merge\tпечёнка\tNOUN\tПечень", "lower case"),
    "a merge into itself": ("merge\tпечень\tNOUN\tпечень", "into itself"),
    "forbid with a target": ("forbid\tпечень\tNOUN\t肝", "no target"),
    "a symbol of two characters": ("add\tлюбовь\tNOUN\t❤\ufe0f", "exactly one character"),
    "a letter for a symbol": ("add\tлюбовь\tNOUN\tЯ", "U+042F"),
    "a digit for a symbol": ("add\tлюбовь\tNOUN\t7", "cannot be a symbol"),
    "a mark for a symbol": ("add\tлюбовь\tNOUN\t\ue000", "U+E000"),
    "a symbol NFKC changes": ("add\tлюбовь\tNOUN\t㍿", "cannot be a symbol"),
    "a Hebrew letter for a symbol": ("add\tлюбовь\tNOUN\tא", "cannot be a symbol"),
    "too many columns": ("add\tлюбовь\tNOUN\t❤\tзаметка\tещё", "at most 5 columns"),
    "spaces for tabs": ("add любовь NOUN ❤", "unknown action"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_line_is_named(tmp_path: Path, name: str) -> None:
    line, says = WRONG[name]
    with pytest.raises(InputError) as error:
        read(tmp_path, f"# строка 2\n\nforbid\tстекло\tNOUN\n{line}\n")
    assert f"{tmp_path / 'overrides.tsv'}:5: " in str(error.value)
    assert says in str(error.value)


def test_lines_that_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tsv:3: the same concept as line 2"):
        read(tmp_path, "add\tпечень\tNOUN\nforbid\tпечень\tNOUN\n")
    with pytest.raises(InputError, match=r"tsv:3: the symbol '❤' is given to two concepts; give one of them another"):
        read(tmp_path, "add\tпечень\tNOUN\t❤\nadd\tлюбовь\tNOUN\t❤\n")
    with pytest.raises(InputError, match=r"tsv:2: 'а' is merged into 'б'.* line 3; name the final lemma"):
        read(tmp_path, "merge\tа\tNOUN\tб\nmerge\tб\tNOUN\tв\n")
    with pytest.raises(InputError, match=r"tsv:3: 'а' is merged into 'б', which line 2 forbids"):
        read(tmp_path, "forbid\tб\tNOUN\nmerge\tа\tNOUN\tб\n")


def test_what_is_added_knows_its_line(tmp_path: Path) -> None:
    found = Overrides() | read(tmp_path, "add\tделать\tNOUN\nadd\tочень хорошо\tADV\n")
    assert found.place_of(("очень хорошо", "ADV")) == f"{tmp_path / 'overrides.tsv'}:3"
    assert found.place_of(("печь", N)) == "overrides"


def test_the_same_lemma_in_two_parts_of_speech_is_two_concepts(tmp_path: Path) -> None:
    found = read(tmp_path, "forbid\tпечь\tNOUN\nadd\tпечь\tVERB\n")
    assert found.forbid == {("печь", N)}
    assert found.add == {("печь", "VERB"): ""}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"нет такого\.tsv: cannot be read"):
        read_overrides(tmp_path / "нет такого.tsv")
    with pytest.raises(InputError, match="cannot be read"):
        read_overrides(tmp_path)
    path = tmp_path / "cp1251.tsv"
    path.write_bytes((HEADER + "add\tпечень\tNOUN\n").encode("cp1251"))
    with pytest.raises(InputError, match=r"cp1251\.tsv:2: not UTF-8"):
        read_overrides(path)
    with pytest.raises(InputError, match=r"tsv:1: expected the header action lemma"):
        read(tmp_path, "add\tпечень\tNOUN\n", header="")


def test_a_form_feed_does_not_shift_line_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tsv:3:"):
        read(tmp_path, "forbid\tстекло\tNOUN\t\tзаметка\x0c с\u2028разрывами\nadd\tX\tNOUN\n")


def test_apply() -> None:
    table = rows(("печёнка", N), ("печень", N), ("печь", "VERB"), ("печь", N), ("стекло", N))
    overrides = Overrides(forbid=frozenset({("печь", N)}), merge={("печёнка", N): "печень"})
    assert overrides.apply(table).rows() == [
        (0, "печень", N, "word"),
        (1, "печень", N, "word"),
        (2, "печь", "VERB", "word"),
        (4, "стекло", N, "word"),
    ]
    assert Overrides().apply(table).rows() == table.rows()


def test_what_is_merged_has_the_kind_of_its_target() -> None:
    table = rows(("агенство", N), ("агентство", N), ("котег", N)).with_columns(
        kind=pl.Series(["unknown", "word", "unknown"])
    )
    merged = Overrides(merge={("агенство", N): "агентство", ("котег", N): "кот"}).apply(table)
    assert merged["kind"].to_list() == ["word", "word", "unknown"], "a target that is not met has none"


@pytest.mark.parametrize(
    ("kind", "targets", "becomes"),
    [
        ("word", ["name"], ["name", "name"]),
        ("word", ["name", "word"], ["word", "name", "word"]),
        ("name", ["word", "name"], ["name", "word", "name"]),
        ("word", ["unknown", "name"], ["name", "name", "name"]),
        ("unknown", ["unknown", "word"], ["word", "word", "word"]),
        ("unknown", ["abbreviation"], ["abbreviation", "abbreviation"]),
        ("word", ["unknown"], ["word", "word"]),
        ("word", [], ["word"]),
    ],
)
def test_what_is_merged_goes_where_its_target_is(kind: str, targets: list[str], becomes: list[str]) -> None:
    table = rows(A, *[B] * len(targets), A, C).with_columns(kind=pl.Series([kind, *targets, kind, "unknown"]))
    applied = Overrides(merge={A: "б"}).apply(table)
    assert applied["kind"].to_list() == [*becomes, becomes[0], "unknown"]
    assert applied["n"].to_list() == table["n"].to_list()


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        (Overrides(add={A: ""}), Overrides(forbid=frozenset({A})), Overrides(forbid=frozenset({A}))),
        (Overrides(forbid=frozenset({A})), Overrides(add={A: "❤"}), Overrides(add={A: "❤"})),
        (Overrides(add={A: "❤"}), Overrides(add={A: ""}), Overrides(add={A: ""})),
        (Overrides(add={A: "❤"}), Overrides(merge={A: "б"}), Overrides(merge={A: "б"})),
        (Overrides(merge={A: "б"}), Overrides(add={A: ""}), Overrides(add={A: ""})),
        (Overrides(merge={A: "б"}), Overrides(forbid=frozenset({A})), Overrides(forbid=frozenset({A}))),
        (Overrides(merge={A: "б"}), Overrides(forbid=frozenset({B})), Overrides(forbid=frozenset({B}))),
        (Overrides(merge={A: "б"}), Overrides(merge={A: "в"}), Overrides(merge={A: "в"})),
        (Overrides(merge={A: "б"}), Overrides(merge={B: "в"}), Overrides(merge={A: "в", B: "в"})),
        (Overrides(merge={A: "б"}), Overrides(merge={B: "а"}), Overrides(merge={B: "а"})),
        (Overrides(forbid=frozenset({B})), Overrides(merge={A: "б"}), Overrides(merge={A: "б"})),
        (Overrides(add={A: "❤"}), Overrides(forbid=frozenset({B})), Overrides({A: "❤"}, frozenset({B}))),
    ],
)
def test_the_second_file_wins(ours: Overrides, theirs: Overrides, both: Overrides) -> None:
    assert ours | theirs == both
    assert (Overrides() | ours) == ours == (ours | Overrides())
