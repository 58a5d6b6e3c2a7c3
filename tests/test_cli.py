"""The commands as a person types them, each in a process of its own on the example vault."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from hypertok.cli import codec, console, experiment, main
from hypertok.errors import InputError
from hypertok.lexicon.overrides import COLUMNS

REPOSITORY = Path(__file__).parents[1]
VAULT = REPOSITORY / "examples" / "vault"
NOTE = VAULT / "Медицина" / "Цикл Кребса.md"


def hypertok(
    *arguments: object, stdin: bytes = b"", cwd: Path | None = None, stdout: IO[bytes] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    """Run the command; output is bytes, because encode and decode promise exact bytes."""
    command = [sys.executable, "-m", "hypertok", *map(str, arguments)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "COLUMNS": "120", "PYTHONPATH": path}
    return subprocess.run(
        command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, env=environment, cwd=cwd, timeout=300
    )


def ok(*arguments: object, **options: object) -> bytes:
    """Run the command, insist on exit code 0 and return standard output."""
    done = hypertok(*arguments, **options)  # type: ignore[arg-type]
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "notes.lexicon"
    ok("build-lexicon", VAULT, "-o", folder)
    return folder


def test_a_terminal_that_knows_no_symbols_gets_their_codes(lexicon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "cp1251")
    said = ok("lexicon", "explain", lexicon, "печени").decode("cp1251")
    assert "печень" in said
    assert "\\u809d" in said
    assert json.loads(ok("lexicon", "explain", lexicon, "печени", "--json"))["readings"][0]["concept"]["symbol"] == "肝"


def test_json_is_utf8_whatever_a_terminal_has(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1251", errors="backslashreplace"))
    console.print_json({"text": "Печень 🫁 é \udcff"})
    assert json.loads(raw.getvalue().decode("utf-8")) == {"text": "Печень 🫁 é \udcff"}


def test_a_place_in_a_file_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        console.fail("note.txt:100: byte 0xFF")
    assert capsys.readouterr().err == "error: note.txt:100: byte 0xFF\n"


def test_help_teaches_every_command() -> None:
    text, every = ok("--help").decode(), get_command(main.app).commands  # type: ignore[attr-defined]
    assert len(every) > 12
    for name, command in every.items():
        assert name in text
        assert command.help, name
        shown = CliRunner().invoke(main.app, [name, "--help"])
        assert shown.exit_code == 0, name
        assert not isinstance(command, TyperGroup) or all(one.help for one in command.commands.values()), name
    assert ok("train", "--help")


def test_what_concepts_only_loses_is_told(lexicon: Path) -> None:
    done = hypertok("encode", lexicon, "-", "--concepts-only", stdin="Печени болели.".encode())
    assert done.returncode == 0
    assert "lossy: inflection and case are gone" in " ".join(done.stderr.decode().split())
    assert done.stdout != ok("encode", lexicon, "-", stdin="Печени болели.".encode())


def test_help_names_no_file_that_the_wheel_lacks() -> None:
    """And says what is in one that a person writes."""
    for command in ("build-lexicon", "train"):
        text = " ".join(re.sub("[│\\s]+", " ", ok(command, "--help").decode()).split())
        assert "README.md" not in text
        assert "defaults.toml" not in text
        if command == "build-lexicon":
            assert all(column in text.partition("separated by tabs:")[2][:150] for column in COLUMNS)


def test_no_example_of_help_starts_all_runs_of_an_experiment() -> None:
    for text in (main.root.__doc__, experiment.run.__doc__):
        examples = [
            line for line in (text or "").splitlines() if "hypertok experiment run " in line and ".toml" in line
        ]
        assert examples
        assert all("--only" in line for line in examples)


def test_no_example_of_help_has_what_shells_of_windows_take_otherwise() -> None:
    """PowerShell's `>` writes other bytes, and cmd.exe knows no single quotes."""
    files = (REPOSITORY / "hypertok" / "cli").glob("*.py")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    examples = [line for line in lines if line.startswith("      hypertok ")]
    assert len(examples) > 20
    assert not [line for line in examples if ">" in line or "'" in line]


def test_info_tells_figures_and_json_is_json(lexicon: Path) -> None:
    assert "concepts" in ok("lexicon", "info", lexicon).decode()
    facts = json.loads(ok("lexicon", "info", lexicon, "--json"))["facts"]
    assert facts["concepts"] > 2000
    assert facts["concepts_by_kind"]["phrase"] >= 5
    assert facts["words_in_lexicon"] / facts["words"] > 0.95


def test_explain_a_word_a_phrase_and_a_symbol(lexicon: Path) -> None:
    found = json.loads(ok("lexicon", "explain", lexicon, "печени", "--json"))
    main = next(r for r in found["readings"] if r["main"])
    assert (main["concept"]["lemma"], main["concept"]["symbol"]) == ("печень", "肝")
    assert abs(sum(r["probability"] for r in found["readings"]) - 1) < 1e-3
    by_symbol = json.loads(ok("lexicon", "explain", lexicon, "肝", "--json"))
    assert by_symbol["readings"][0]["concept"]["lemma"] == "печень"
    phrase = json.loads(ok("lexicon", "explain", lexicon, "циклу Кребса", "--json"))
    assert phrase["readings"][0]["concept"]["lemma"] == "цикл Кребса"
    assert {f["form"] for f in phrase["forms"]} >= {"цикл кребса", "цикла кребса", "циклом кребса"}


def test_unknown_word_is_an_error_that_says_what_to_do(lexicon: Path) -> None:
    done = hypertok("lexicon", "explain", lexicon, "абырвалг")
    assert done.returncode == 1
    assert "абырвалг" in done.stderr.decode()
    assert "overrides" in done.stderr.decode()


def test_export_json_is_plain_and_tsv_has_every_concept(lexicon: Path) -> None:
    mapping = json.loads(ok("lexicon", "export", lexicon, "--format", "json"))
    assert mapping["печень"] == "肝"
    assert len(set(mapping.values())) == len(mapping)
    lines = ok("lexicon", "export", lexicon, "--format", "tsv").decode().splitlines()
    assert lines[0].split("\t") == ["symbol", "lemma", "pos", "kind", "count"]
    assert len(lines) - 1 == len(mapping)


def test_encode_and_decode_are_byte_exact_through_pipes(lexicon: Path, tmp_path: Path) -> None:
    data = "\ufeffЦикл Кребса.\r\nпечень ❤ 肝 \ue000\n\tМОСКВА".encode()
    symbols = ok("encode", lexicon, "-", stdin=data)
    assert symbols != data
    assert ok("decode", lexicon, "-", stdin=symbols) == data
    for output in ("/dev/stdout", "-"):
        assert ok("encode", lexicon, "-", "-o", output, stdin=data) == symbols
    with (tmp_path / "all.sym").open("ab", buffering=0) as file:  # what stands in it is not replaced
        file.write(b"before ")
        ok("encode", lexicon, "-", "-o", "/dev/stdout", stdin=data, stdout=file)
    assert (tmp_path / "all.sym").read_bytes() == b"before " + symbols
    ok("encode", lexicon, NOTE, "-o", tmp_path / "note.sym")
    assert ok("encode", lexicon, "-", stdin=NOTE.read_bytes()) == (tmp_path / "note.sym").read_bytes()
    ok("decode", lexicon, tmp_path / "note.sym", "-o", tmp_path / "note.md")
    assert (tmp_path / "note.md").read_bytes() == NOTE.read_bytes()


def test_an_output_does_not_replace_what_it_is_made_from(tmp_path: Path) -> None:
    source, link = tmp_path / "note.md", tmp_path / "link.md"
    source.write_text("Печень", encoding="utf-8")
    link.symlink_to(source)
    for command in (codec.encode, codec.decode):
        for output in (source, link):
            with pytest.raises(InputError, match="is the file that is read; name another output"):
                command(tmp_path / "none.lexicon", source, output)


def test_text_that_is_not_utf8_is_refused_with_its_place(lexicon: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_bytes("первая\nвторая ".encode() + "печень".encode("cp1251"))
    done = hypertok("encode", lexicon, bad)
    assert done.returncode == 1
    message = done.stderr.decode().replace("\n", "")
    assert f"{bad}:2" in message
    assert "pack" in message


def test_symbol_text_that_powershell_has_rewritten_is_told_from_other_bytes(tmp_path: Path) -> None:
    (tmp_path / "note.sym").write_bytes("\ufeff肝".encode("utf-16-le"))
    with pytest.raises(InputError, match="PowerShell's `>`, which changes bytes; encode again with --output"):
        codec.decode(tmp_path / "none.lexicon", tmp_path / "note.sym")
    with pytest.raises(InputError, match="convert it to UTF-8 first"):
        codec.encode(tmp_path / "none.lexicon", tmp_path / "note.sym")


def test_pack_and_unpack_restore_a_note_and_a_folder(lexicon: Path, tmp_path: Path) -> None:
    archive = tmp_path / "note.ht"
    ok("pack", lexicon, NOTE, "-o", archive)
    assert archive.stat().st_size * 4 < NOTE.stat().st_size
    ok("unpack", archive, "--lexicon", lexicon, "-o", tmp_path / "one")
    assert (tmp_path / "one" / NOTE.name).read_bytes() == NOTE.read_bytes()
    ok("pack", lexicon, VAULT / "Книги", "-o", tmp_path / "books.ht")
    ok("unpack", tmp_path / "books.ht", "--lexicon", lexicon, "-o", tmp_path / "books")
    ok("unpack", archive, "-o", tmp_path / "found", cwd=lexicon.parent)
    beside = lexicon.with_name("beside.ht")
    shutil.copyfile(archive, beside)
    foreign = lexicon.with_name("extension")
    foreign.mkdir()
    (foreign / "manifest.json").write_text('{"manifest_version": 3}', encoding="utf-8")
    ok("unpack", beside, "-o", tmp_path / "found too", cwd=tmp_path)
    for folder in ("found", "found too"):
        assert (tmp_path / folder / NOTE.name).read_bytes() == NOTE.read_bytes()
    lost = hypertok("unpack", archive, "-o", tmp_path / "lost", cwd=tmp_path)
    assert lost.returncode == 1
    assert "--lexicon" in lost.stderr.decode()
    for note in (VAULT / "Книги").rglob("*.md"):
        assert (tmp_path / "books" / note.relative_to(VAULT)).read_bytes() == note.read_bytes()


def test_skipped_files_are_listed_and_the_exit_code_says_so(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "хорошая.txt").write_text("Печень и сердце — органы человека.\n" * 5, encoding="utf-8")
    (corpus / "картинка.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (corpus / "пустая.txt").write_bytes(b"")
    (corpus / "наполовину.jsonl").write_text('{"text": "Печень."}\n{"text": \n', encoding="utf-8")
    (corpus / "никуда.txt").symlink_to(corpus / "нет такого")
    done = hypertok("build-lexicon", corpus, "-o", tmp_path / "x.lexicon")
    assert done.returncode == 3
    sources = json.loads(ok("lexicon", "info", tmp_path / "x.lexicon", "--json"))["sources"]
    skipped = {s["path"]: s["reason"] for s in sources if s["status"] == "skipped"}
    without = {s["path"]: s["reason"] for s in sources if s["status"] == "without text"}
    assert (set(skipped), set(without)) == ({"никуда.txt"}, {"картинка.png", "пустая.txt"})
    assert all({**skipped, **without}.values())
    half = next(s for s in sources if s["path"] == "наполовину.jsonl")
    assert (half["status"], half["reason"][:6]) == ("read", "line 2")
    told = " ".join(ok("lexicon", "info", tmp_path / "x.lexicon").decode().split())
    assert all(name in told for name in {**skipped, **without})
    assert "files without text 2" in told
    (corpus / "никуда.txt").unlink()
    assert hypertok("build-lexicon", corpus, "-o", tmp_path / "x.lexicon").returncode == 3, "read in part"
    (corpus / "наполовину.jsonl").unlink()
    ok("build-lexicon", corpus, "-o", tmp_path / "x.lexicon")


def test_rebuilding_the_same_says_so_and_a_missing_corpus_is_an_error(lexicon: Path, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in lexicon.iterdir()}
    assert b"already up to date" in ok("build-lexicon", VAULT, "-o", lexicon)
    assert {p.name: p.read_bytes() for p in lexicon.iterdir()} == before
    done = hypertok("build-lexicon", tmp_path / "нет", "-o", tmp_path / "y.lexicon")
    assert done.returncode == 1
    assert "нет" in done.stderr.decode()
    assert not (tmp_path / "y.lexicon").exists()


def test_an_output_inside_the_corpus_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Печень и сердце.", encoding="utf-8")
    done = hypertok("build-lexicon", ".", "-o", "inside.lexicon", cwd=tmp_path)
    assert done.returncode == 1
    assert "inside the corpus" in done.stderr.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]
