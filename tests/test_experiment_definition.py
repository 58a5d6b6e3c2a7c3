"""Definitions: every parameter documented, unknown keys refused with their place, variables and overrides."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import REPOSITORY
from pydantic import BaseModel

from hypertok.errors import InputError
from hypertok.experiment.compare import pareto
from hypertok.experiment.definition import Aims, Definition, Inputs, Measure, Memory
from hypertok.experiment.page import Heading, Paragraph, Plot, Table, markdown, page
from hypertok.experiment.reading import BASE, read_definition
from hypertok.tokenizer.extend import ExtendOptions
from hypertok.training.options import LoraOptions, TrainOptions

EXPERIMENTS = REPOSITORY / "experiments"
SHIPPED = sorted(path.stem for path in EXPERIMENTS.glob("*.toml") if path.stem != "defaults")
#: Their results are older than the choice of `bos`.
WITHOUT_BOS = {"ab", "ab-20m", "ab-rank128", "factored", "init", "rows"}
TABLES: dict[str, type[BaseModel]] = {
    "inputs": Inputs, "tokenizer": ExtendOptions, "train": TrainOptions, "train.lora": LoraOptions, "measure": Measure,
    "aims": Aims, "memory": Memory,
}  # fmt: skip
#: Set by an experiment for every run, so no key of a definition.
OWN = {"train": {"characters", "seed"}}


def documented(text: str) -> Iterator[tuple[str, str]]:
    """(table, key) of every parameter that the file shows, those that are commented out too."""
    table = ""
    for line in text.splitlines():
        if found := re.match(r"\[([\w.]+)\]", line):
            table = found[1]
        elif found := re.match(r"(?:# )?(\w+) = ", line):
            yield table, found[1]


def written(folder: Path, text: str, defaults: str = "") -> Path:
    (folder / "defaults.toml").write_text(defaults, encoding="utf-8")
    (folder / "one.toml").write_text(text, encoding="utf-8")
    return folder / "one.toml"


def test_the_defaults_document_every_parameter_with_its_value() -> None:
    text = (EXPERIMENTS / "defaults.toml").read_text(encoding="utf-8")
    shown = {place for place in documented(text) if place[1] not in ("stock", "untrained", "init")}
    names = {
        (table, field.alias or name) for table, model in TABLES.items() for name, field in model.model_fields.items()
    }
    names -= {(table, name) for table, own in OWN.items() for name in own}
    names |= {("", name) for name in Definition.model_fields}
    names |= {("", BASE)}
    names -= {("", "arms"), *(("", table) for table in TABLES), ("train", "lora")}
    assert shown == names
    data = tomllib.loads(text)
    for table, model in TABLES.items():
        values: Any = data
        for part in table.split("."):
            values = values[part]
        given = {} if table == "inputs" else values  # empty places there
        assert model.model_validate(given) == model(), table
    top = {key: value for key, value in data.items() if key not in TABLES}
    arms = [{"name": "a", "stock": True}]
    assert Definition.model_validate({**top, "name": "x", "arms": arms}) == Definition.model_validate(
        {"name": "x", "arms": arms}
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_definitions_can_be_read_and_name_no_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = EXPERIMENTS / f"{name}.toml"
    texts = [one.read_text(encoding="utf-8") for one in EXPERIMENTS.glob("*.toml")]
    for variable in set(re.findall(r"\$\{(\w+)\}", "".join(texts))):
        monkeypatch.setenv(variable, f"/somewhere/{variable.lower()}")
    for variable in ("HYPERTOK_ENGLISH", "HYPERTOK_CODE", "HYPERTOK_PAIRS"):
        monkeypatch.delenv(variable, raising=False)
    found = read_definition(path)
    assert found.name == name
    assert found.inputs.model == Path(f"/somewhere/hypertok_{'untied' if 'untied' in name else 'model'}")
    assert found.inputs.pairs is None
    assert not re.search(r"\"/|\.\./", path.read_text(encoding="utf-8"))
    if found.kind == "rows":
        compared = [arm.tokenizer.rows for arm in found.arms if not arm.stock]
        assert compared == [rows for rows in found.rows for _ in ("control", "ours")], "ours beside its control"
        assert set(compared) >= {4_096, 131_072}
    if name == "factored":
        assert [arm.train.rows for arm in found.arms if not arm.stock] == ["flat", "factored", "composed"]
        assert len({arm.tokenizer for arm in found.arms}) == 1, "or their groups would not compare"
    if name == "ab":
        assert {arm.role for arm in found.arms} == {"stock", "control", "ours"}
    begins = {arm.train.bos for arm in found.arms if arm.trained}
    assert name == "memory" or begins == {name not in WITHOUT_BOS}, "one way in all arms"
    assert f"`{name}.toml`" in (EXPERIMENTS / "README.md").read_text(encoding="utf-8")


def test_arms_override_what_they_share_and_the_shared_the_defaults(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "[train]\nbatch = 3\n[arms.stock]\nstock = true\n[arms.b.train]\nlora_lr = 1e-4\n[arms.b.train.lora]\nr = 5",
        "seeds = [7]\n[train]\nbatch = 2\ncontext = 64\n[train.lora]\nr = 4\nalpha = 9.0",
    )
    found = read_definition(path)
    assert found.seeds == (7,)
    stock, other = found.arms
    assert (stock.train.batch, stock.train.context, stock.train.lora.r, stock.train.lora.alpha) == (3, 64, 4, 9.0)
    assert (other.train.lora_lr, other.train.lora.r, other.train.lora.alpha) == (1e-4, 5, 9.0)


def test_a_folder_is_a_definition_too(tmp_path: Path) -> None:
    (tmp_path / "defaults.toml").write_text("characters = 55", encoding="utf-8")
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match=r"mine/experiment\.toml: no definition of an experiment"):
        read_definition(tmp_path / "mine")
    (tmp_path / "mine" / "experiment.toml").write_text("[arms.stock]\nstock = true", encoding="utf-8")
    found = read_definition(tmp_path / "mine")
    assert (found.name, found.characters) == ("mine", 55)


def test_a_definition_begins_from_another(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'base = "two.toml"\n[train]\nbatch = 4\n[arms.b.tokenizer]\nrows = 9',
        "[train]\nwarmup = 0.5\nbatch = 9",
    )
    (tmp_path / "two.toml").write_text('base = "three.toml"\nname = "two"\n[train]\ncontext = 32\nbatch = 2', "utf-8")
    (tmp_path / "three.toml").write_text("seeds = [5]\ntitle = 'Three'\n[arms.stock]\nstock = true\n[arms.b]", "utf-8")
    found = read_definition(path)
    assert (found.name, found.title, found.seeds) == ("one", "Three", (5,))
    stock, other = found.arms
    assert (stock.train.batch, stock.train.context, stock.train.warmup) == (4, 32, 0.5)
    assert (stock.stock, other.tokenizer.rows) == (True, 9)
    (tmp_path / "three.toml").write_text('base = "one.toml"', "utf-8")
    with pytest.raises(InputError, match=r"three\.toml: base: one\.toml begins from this one"):
        read_definition(path)
    (tmp_path / "three.toml").unlink()
    with pytest.raises(InputError, match=r"three\.toml: no definition of an experiment"):
        read_definition(path)


def test_paths_come_from_options_the_environment_or_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[inputs]\nmodel = "${TEST_MODEL}"\ncorpus = "texts"\npairs = "${TEST_PAIRS:-}"\n[arms.stock]\nstock = true'
    path = written(tmp_path, text)
    monkeypatch.delenv("TEST_MODEL", raising=False)
    with pytest.raises(InputError, match=r"one\.toml: inputs\.model: the variable TEST_MODEL is not set; .* --model"):
        read_definition(path)
    given = read_definition(path, {"model": Path("/models/a"), "lexicon": None}).inputs
    assert (given.model, given.corpus, given.pairs) == (Path("/models/a"), tmp_path / "texts", None)
    monkeypatch.setenv("TEST_MODEL", "/models/b")
    assert read_definition(path).inputs.model == Path("/models/b")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_MODEL", "here")
    assert read_definition(path).inputs.model == tmp_path / "here"
    monkeypatch.chdir("/")  # what the file says itself counts from its own folder, from wherever it is run
    path = written(tmp_path, text.replace("TEST_PAIRS:-", "TEST_PAIRS:-pairs.jsonl"))
    assert read_definition(path).inputs.pairs == tmp_path / "pairs.jsonl"
    with pytest.raises(InputError, match="inputs: no modle; known are model, lexicon"):
        read_definition(path, {"modle": Path("x")})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "charakters = 5\n[arms.a]\nstock = true",
            r"one\.toml: charakters: unknown key; .* known are base, tokenizer, train, name, .*\bcharacters, lines",
        ),
        (
            "[arms.a]\nstock = true\n[arms.a.train.lora]\nrank = 4",
            r"arms\.a\.train\.lora\.rank: unknown key; .* known are r, alpha, dora",
        ),
        ("[arms.a]\nstock = true\n[measure]\nctx = 4", r"measure\.ctx: unknown key; .* known are parts, .*\bcontext"),
        (
            "[arms.a]\nstock = true\n[arms.b.train]\nrows_only = true\n[arms.b.train.lora]\nr = 64",
            r"arms\.b\.train: rows_only \(--rows-only\) trains no adapter; leave lora \(--lora\) out",
        ),
        (
            "[arms.a]\nstock = true\n[arms.b.train]\nrows_only = true\nreading = true",
            r"train\.reading: arms are measured by what they write",
        ),
        ("[arms.a]\nstock = true\n[measure]\ncontext = 1", r"measure\.context: .*greater than or equal to 2"),
        ("[train]\nseed = 4\n[arms.a]\nstock = true", r"arms\.a\.train\.seed: the key seeds at the top decides"),
        ("[arms.a]\nstock = true\n[arms.a.train]\ncharacters = 4", r"train\.characters: the key characters"),
        ('kind = "abc"\n[arms.a]\nstock = true', r"kind: 'abc' is none; choose one of ab, init, rows, memory"),
        ("seeds = [1]", r"one\.toml: no arms; write at least one"),
        ("[arms.a]", r"a trained stock arm; write \[arms\.stock\]"),
        ('kind = "rows"\nrows = [8]\nlines = ["characters", "compute"]\n[arms.a]', "needs a trained stock arm"),
        ('lines = ["compute"]\n[arms.a]\nstock = true', "lines begin with"),
        ("seeds = [1, 1]\n[arms.a]\nstock = true", "seeds names one of them twice"),
        ('lines = ["characters", "compute", "compute"]\n[arms.a]\nstock = true', "lines names one of them twice"),
        ("steps = [6, 2]\n[arms.a]\nstock = true", "each is greater than the one before it"),
        ("steps = [2, 2]\n[arms.a]\nstock = true", "each is greater than the one before it"),
        ("arms = 3", r"arms is 3 and must be a table"),
        ("[arms.a]\ntrain = 3", r"arms\.a\.train is 3 and must be a table; write \[arms\.a\.train\]"),
        ("[arms]\na = 1", r"write \[arms\.a\]"),
        ('inputs = "here"\n[arms.a]\nstock = true', r"write \[inputs\]"),
        ('[arms.a]\nstock = true\nname = "b"', r"arms\.a\.name: unknown key; an arm's name is that of its table"),
        ('[arms."a/b"]\nstock = true', "'a/b' becomes a file"),
        ('name = "../up"\n[arms.a]\nstock = true', "becomes a file"),
        ("seeds = [", "no TOML"),
        ("rows = [8]\n[arms.a]\nstock = true", "rows says nothing in an experiment of kind ab"),
        ('inits = ["mean"]\n[arms.a]\nstock = true', "inits says nothing in an experiment of kind ab"),
        ('kind = "rows"\nrows = 5\n[arms.a]', r"rows: .*tuple"),
        ('kind = "rows"\n[arms.a]', "rows is empty; an experiment of kind rows makes its arms with each"),
        ('kind = "init"\ninits = []\n[arms.a]', "inits is empty"),
        ('kind = "init"\ninits = ["mix", "mix"]\n[arms.a]', "inits names one of them twice"),
        (
            'kind = "memory"\n[arms.a]\nstock = true\n[arms.b]\nstock = true',
            r"one\.toml: more than one stock arm in an experiment of kind memory: a, b; keep one",
        ),
        ('kind = "memory"\n[arms.stock]', "an arm with new rows is called stock"),
        ("[arms.a]\nstock = true\n[measure]\ncards = [inf]", r"measure\.cards\.0: .*finite"),
        ("[arms.a]\nstock = true\n[memory]\ntokens = 1", r"memory\.tokens: .*greater than or equal to 100"),
        ("[arms.a]\nstock = true\n[memory]\nprefill_tokens = [8, -8]", r"memory\.prefill_tokens: .*below 0; write one"),
        ("seeds = [-1]\n[arms.a]\nstock = true", r"seeds\.0: .*greater than or equal to 0"),
        ('base = ""', "no file beside this one"),
        ("base = 3", r"base: 3 is no file beside this one; write its name"),
        ('base = "../one.toml"', "no file beside this one"),
        ('base = "one.toml"', "begins from this one"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_definition(written(tmp_path, text))
    assert "one.toml" in str(error.value)


def test_rows_alone_are_trained_without_an_adapter(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'kind = "init"\ninits = ["mean", "mix"]\n[train]\nrows_only = true\n[arms.stock]\nstock = true\n[arms.x]',
        "[train.lora]\nr = 4",
    )
    found = read_definition(path)
    assert [(arm.name, arm.init, arm.trained) for arm in found.arms] == [
        ("stock", "weighted", False), ("x-mean", "mean", True), ("x-mix", "mix", True),
    ]  # fmt: skip


def test_a_page_is_safe_and_whole() -> None:
    blocks = [
        Heading("A & B\n<i>", 1),
        Paragraph("<script>alert(1)</script>", strong=True),
        Table(
            ["arm", "aim"], [["<b>", "missed by 2 %"], ["x|y\nz", "met"], ["![*x*](http://a.b/_c_) a_b", "$\\rm x$"]]
        ),
        Plot("p", "A plot", "<svg></svg>"),
    ]
    found = page("<title>", blocks)
    assert "<script>" not in found
    assert "<b>" not in found
    assert '<td class="missed">missed by 2 %</td>' in found
    assert "default-src 'none'" in found
    text = markdown(blocks)
    assert "# A &amp; B ↵ &lt;i>\n" in text
    assert "| &lt;b> | missed by 2 % |" in text
    assert "| x\\|y ↵ z | met |" in text
    assert r"| ![\*x\*]\(http://a.b/\_c\_) a_b | \$\\rm x\$ |" in text
    assert "![A plot](p.svg)" in text


def test_the_front_holds_what_nothing_else_beats() -> None:
    points = [(3.0, 1.6), (4.0, 1.7), (3.5, 1.8), (4.0, 1.75), (2.0, 1.6)]
    assert pareto(points) == [0, 1]
