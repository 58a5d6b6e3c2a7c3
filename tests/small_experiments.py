"""What experiments in tests are made of: a tiny model with a real tokenizer, texts of its own, a definition."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_models import put_model, tiny_model

if TYPE_CHECKING:
    from hypertok.experiment.results import Results
    from hypertok.experiment.run import Experiment

#: Held-out documents; none of their sentences is among those that the small lexicon is built from.
HELD_OUT = (
    "Утром в деревне было тихо. Старик вышел на крыльцо, посмотрел на реку и долго молчал. Вода за ночь спала, и у "
    "моста снова показались камни. «Пора чинить», — сказал он соседу. Сосед кивнул, взял топор и пошёл к мосту. До "
    "обеда они стучали молотками, а потом сидели на брёвнах и пили чай. Вечером по мосту проехала первая телега, и "
    "дети бежали за ней до самой околицы. Старик смотрел им вслед и улыбался. В избе топилась печь, пахло хлебом и "
    "яблоками. Мать звала всех к столу, но никто не спешил: вечер был тёплый, и не хотелось уходить. Над рекой "
    "поднялся туман, и камни у берега скрылись из виду. Старик запер ворота и пошёл спать.",
    "Программа читает данные из памяти, меняет их и пишет назад. Если памяти мало, она ждёт, пока другая программа "
    "освободит место. Студент написал такую программу за неделю. На экзамене его спросили, почему она ждёт так долго. "
    "Он нарисовал схему и показал, где теряется время. Преподаватель выслушал, подумал и сказал, что схема верна, а "
    "вывод нет. Студент стёр половину схемы и начал снова. Через час он понял свою ошибку и рассмеялся. После "
    "экзамена он вернулся домой, открыл окно и до ночи чинил то, что утром считал готовым. К утру программа ждала "
    "меньше, чем раньше, и памяти ей хватало. Он выключил лампу и уснул.",
    "Врач вернулся из города поздно. Снег шёл весь день, и дорогу замело. В окне больницы горел свет: сестра не спала. "
    "«Как больной?» — спросил он с порога. «Лучше, — ответила она. — Пьёт воду и говорит о доме». Врач снял пальто, "
    "согрел руки у печи и вошёл в палату. Больной лежал тихо, дышал ровно. На столе стояла кружка молока и лежала "
    "книга. Врач сел рядом, взял его руку и стал считать удары сердца. Их было столько, сколько нужно, и он впервые за "
    "эту долгую неделю позволил себе закрыть глаза.",
)
ENGLISH = (
    "The cat sat on the mat and the dog ran after the other cats.",
    "Twelve dogs ran, and then the others sat on the mat again.",
)
PAIRS = (
    '{"chosen": "Врач пришёл домой.", "rejected": "Врач пришла домой.", "phenomenon": "agreement"}\n'
    '{"chosen": "Мы любим осень.", "rejected": "Мы любит осень.", "phenomenon": "agreement"}\n'
    '{"chosen": "Она не ест хлеба.", "rejected": "Она не ест хлебом.", "phenomenon": "government"}\n'
)
#: Fast, on two cores, with a model of two layers.
SMALL = """
characters = 900
seeds = [0, 1]

[tokenizer]
rows = 24
general = 0.0

[train]
context = 16
batch = 2
dtype = "float32"
device = "cpu"
log_every = 1
rows_lr = 5e-3
lora_lr = 5e-3
[train.lora]
r = 4

[measure]
context = 64
overlap = 16
dtype = "float32"
device = "cpu"
samples = 2
new_tokens = 4
"""


#: Tokens of the stock tokenizer, fewer than the small one's: that one knows the sample sentences' words already.
TOKENIZED, ROWS = 340, 384
Inputs = dict[str, Path | None]


def poor_stock(small_stock: Path, folder: Path) -> Path:
    """The small stock tokenizer with its first merges alone."""
    shutil.copytree(small_stock, folder)
    data = json.loads((folder / "tokenizer.json").read_bytes())
    model = data["model"]
    model["vocab"] = {token: number for token, number in model["vocab"].items() if number < TOKENIZED}
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in model["vocab"]]
    for number, token in enumerate(data["added_tokens"]):
        token["id"] = TOKENIZED + number
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def put_inputs(folder: Path, small_stock: Path, lexicon: Path, corpus: Path) -> Inputs:
    """A stock model and texts, by the names of the inputs."""
    stock = poor_stock(small_stock, folder / "tokenizer")
    model = put_model(stock, folder / "stock", tiny_model("llama", tied=True, rows=ROWS))
    for name, texts in (("held-out", HELD_OUT), ("english", ENGLISH)):
        (folder / name).mkdir()
        for number, text in enumerate(texts):
            (folder / name / f"{number}.txt").write_text(text, encoding="utf-8")
    (folder / "pairs.jsonl").write_text(PAIRS, encoding="utf-8")
    return {
        "model": model, "lexicon": lexicon, "corpus": corpus, "held_out": folder / "held-out",
        "english": folder / "english", "pairs": folder / "pairs.jsonl",
    }  # fmt: skip


def definition(folder: Path, name: str, text: str) -> Path:
    """A definition over the small defaults, in TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defaults.toml").write_text(SMALL, encoding="utf-8")
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / f"{name}.toml"


AB = """
title = "Tiny: stock, control, ours"
lines = ["characters", "compute"]
steps = [2]

[measure]
parts = ["drift", "pairs", "emission", "memory", "speed", "samples"]

[arms.untouched]
stock = true
untrained = true

[arms.stock]
stock = true

[arms.control.tokenizer]
units = "bpe"

[arms.ours]
"""


#: Continued BPE alone, which is learned in no time.
STOCK_AND_CONTROL = """
lines = ["characters", "compute"]
[arms.stock]
stock = true
[arms.control.tokenizer]
units = "bpe"
"""


@dataclass
class Done:
    """An experiment that was stopped in its third run and begun again."""

    experiment: Experiment
    results: Results
    first: dict[str, bytes]
    told: list[str]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("runs/*.json"))}


def undated(data: bytes) -> Any:
    """A result without the minute in which it was made, and how fast the machine was then."""
    found = json.loads(data)
    del found["provenance"]["made"], found["speed"]
    return found


def stopped_and_begun_again(folder: Path, inputs: Inputs) -> Done:
    """The experiment AB, interrupted in its third run."""
    from hypertok.experiment.run import Experiment

    path = definition(folder, "ab", AB)
    experiment = Experiment.from_toml(path, inputs=inputs)

    def interrupt(text: str) -> None:
        if text.startswith("run 3 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment.run(tell=interrupt)
    first = files(experiment.output)
    told: list[str] = []
    return Done(experiment, experiment.run(tell=told.append), first, told)


def trained_as(done: Done, arm: str, seed: int) -> Path:
    """Folder of what an arm was trained to at equal characters."""
    run = next(run for run in done.results.runs if run.name == f"{arm}-characters-s{seed}")
    assert run.trained is not None
    (found,) = (
        path.parent
        for path in (done.experiment.work / "trained").glob("*/manifest.json")
        if json.loads(path.read_bytes())["facts"]["loss"] == run.trained.loss
    )
    return found
