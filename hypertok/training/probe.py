"""`--init auto` and `--init composer`: rows that a few steps on the person's text have been asked about.

Loss before training does not predict the outcome, fifty steps do better. All probes read the same text in
the same order, with the model frozen and the new rows alone trained, and are judged by bits per character of text that
none of them was trained on. Of a strategy the rows before these steps are taken. The composer (`model/shared_rows.py`)
is itself trained: if it wins, the rows of its probe are dropped, it is trained anew from `weighted` for
`composer_steps`, and the rows that it comes to are written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from hypertok.corpus.sources import Skipped
from hypertok.errors import InputError
from hypertok.lexicon.lexicon import Lexicon
from hypertok.model.extend import DEFAULT_INIT, Made, Making, RowMaker
from hypertok.model.initialise import NewRows, candidates, initialise
from hypertok.model.load import check_kind, computed, grown, is_emulated, load_model
from hypertok.model.memory import require_memory
from hypertok.model.pair import DTYPES, separator_of
from hypertok.model.shared_rows import split_shared_rows
from hypertok.model.split import merge_rows, new_rows, split_rows
from hypertok.progress import Steps, silent
from hypertok.tokenizer.kind import SYMBOLS
from hypertok.tokenizer.plain import ids_before, read_plain
from hypertok.tokenizer.stock import Stock
from hypertok.tokenizer.symbol_text import SymbolText
from hypertok.training.allocator import keep_freed_memory
from hypertok.training.checks import estimate_of
from hypertok.training.data import read_texts
from hypertok.training.loss import LossModel
from hypertok.training.options import COMPOSER, Dtype, TrainOptions

#: Blocks taken from one document at most, about.
_FROM_ONE = 32
#: Documents that are made of a lexicon's runs, and runs in each.
_DOCUMENTS, _RUNS = 200, 100


class ProbeOptions(BaseModel):
    """How probes are run.

    Attributes:
        steps: of each probe.
        batch, context: blocks in a step, and their tokens.
        lr: highest learning rate of the rows.
        composer_steps: of the composer, when it makes the rows.
        bos: begin every block with what the tokenizer puts before a text.
        dtype: of the frozen model and of products; "auto" is the checkpoint's own, or float32 where that is emulated.
        held_out: blocks that judge.
        seed: of the order of blocks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(50, ge=1)
    batch: int = Field(8, ge=1)
    context: int = Field(128, ge=8)
    bos: bool = True
    dtype: Dtype = "auto"
    lr: float = Field(1e-3, gt=0)
    composer_steps: int = Field(250, ge=1)
    held_out: int = Field(48, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class Probe:
    """What one strategy came to: bits per character of the held-out blocks before and after so many steps."""

    name: str
    steps: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class _Blocks:
    """(n, context + 1) token ids each, and the characters of the held-out ones' predicted tokens."""

    train: Tensor
    held_out: Tensor
    characters: int


def chooser(
    texts: Iterable[str],
    options: ProbeOptions | None = None,
    progress: Steps | None = None,
    *,
    composer_alone: bool = False,
) -> RowMaker:
    """A maker of rows for `extend_model` that probes all strategies which can serve the model, and the composer.

    Args:
        texts: the person's own, in any order: see `texts_of` and `texts_of_runs`.
        composer_alone: probe nothing; the composer makes the rows.
    """
    wanted = options or ProbeOptions()
    tell = progress or silent

    def choose(making: Making) -> Made:
        check_kind(making.checkpoint.folder)
        strategies = (DEFAULT_INIT,) if composer_alone else candidates(making.rows)
        _check_memory(making, len(strategies), wanted)
        made = {name: initialise(name, making.rows, making.units) for name in strategies}
        made[COMPOSER] = made[DEFAULT_INIT]  # where it begins
        names = () if composer_alone else tuple(made)
        blocks = _blocks(making, texts, wanted)
        keep_freed_memory()
        # In so short a context the fused attention is the slower one on a CPU: a step of Gemma-3-270M takes 12 % more.
        model = load_model(making.checkpoint.folder, wanted.dtype, attn_implementation="eager")
        model = computed(model) if wanted.dtype == "auto" else model
        model.requires_grad_(False)
        ids = making.delta["id"].to_list()
        grown(model, max(ids) + 1)

        def train(name: str, steps: int, step: str, before: int, total: int) -> tuple[Probe, NewRows]:
            begin = made[name]
            split_rows(model, ids, begin.input.clone(), None if begin.output is None else begin.output.clone())
            if name == COMPOSER:
                split_shared_rows(merge_rows(model), ids, making.units, "composed")
            with torch.random.fork_rng(devices=[]):  # the loss draws ids; what drew before must not decide rows
                torch.manual_seed(wanted.seed)
                probe = _probe(name, model, blocks, wanted, steps, lambda done: tell(step, before + done, total))
            rows = {side: module().detach() for side, module in new_rows(model).items()}
            merge_rows(model)
            return probe, NewRows(rows["input"], rows.get("output"))

        probes: list[Probe] = []
        for number, name in enumerate(names):
            steps = wanted.steps
            probes.append(train(name, steps, "probe", number * steps, len(names) * steps)[0])
        best = min(probes, key=lambda probe: probe.after).name if probes else COMPOSER
        if best == COMPOSER:
            steps = wanted.composer_steps
            last, made[best] = train(COMPOSER, steps, "composer", 0, steps)
            probes.append(last)
        read = sum(probe.steps for probe in probes) * wanted.batch * wanted.context
        facts = {**made[best].facts, "probes": [asdict(one) for one in probes], "tokens": read}
        return Made(made[best], best, facts)

    return choose


def _check_memory(making: Making, strategies: int, options: ProbeOptions) -> None:
    """Before rows are made; the composer is always among what is trained.

    Raises:
        InputError: more is needed than there is.
    """
    checkpoint = making.checkpoint
    kind = checkpoint.dtype if options.dtype == "auto" else DTYPES[options.dtype]
    whole = kind.itemsize == 4 or (options.dtype == "auto" and is_emulated(kind, "cpu"))
    like = TrainOptions(
        rows="composed", rows_only=True, batch=options.batch, context=options.context,
        dtype="float32" if whole else "bfloat16",
    )  # fmt: skip
    stock = sum(side.nbytes for side in (making.rows.input, making.rows.output) if side is not None)
    made = strategies * making.delta.height * stock // len(making.rows.input)
    needs = estimate_of(checkpoint, making.delta.height, like, cpu=True, has_rows=False)
    require_memory(
        {**needs.parts, "stock rows": stock, "rows of strategies": made},
        "the probes of init auto, and the composer, need",
        "name a strategy (--init weighted), or take fewer rows (--rows) or a machine with more memory",
    )


def texts_of(data: Path, seed: int = 0, characters: int | None = None, skipped: Skipped | None = None) -> Iterator[str]:
    """The documents of a folder or file, in an order that hangs on the seed; of so many characters.

    Args:
        skipped: told path and reason of each file that is left out, of some more than once.
    """
    return (text.text for text in read_texts(data, seed=seed, characters=characters, skipped=skipped))


def texts_of_runs(lexicon: Path) -> Iterator[str]:
    """What a lexicon remembers of its corpus, as text: its runs, drawn by their share of the words.

    No sentence of the corpus stands in it, but its words and phrases do, in the shares that they have there.
    """
    words = pl.col("run").str.strip_chars().str.count_matches(" ") + 1
    runs = Lexicon.load(lexicon).runs.with_columns(uses=words * pl.col("count"))
    if not runs.height:
        raise InputError(f"{lexicon}: too little text in it for init auto; name texts with --data, or a strategy")
    shares = runs["uses"].to_numpy() / runs["uses"].sum()
    drawn = np.random.default_rng(0).choice(runs.height, (_DOCUMENTS, _RUNS), p=shares)
    for numbers in drawn:
        yield ". ".join(text.strip() for text in runs["run"].gather(numbers))


def _probe(
    name: str, model: Any, blocks: _Blocks, options: ProbeOptions, steps: int, tell: Callable[[int], None]
) -> Probe:
    """Train the new rows of a split model; the stock rows and everything else are frozen."""
    tell(0)
    # Several times faster on a CPU than with all logits; they are judged with all of them.
    whole = LossModel(model, ids=torch.cat([blocks.train.flatten(), blocks.held_out.flatten()]))
    trained = [parameter for parameter in whole.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=options.lr, weight_decay=0.0, fused=True)
    before = _bpc(whole, blocks, options.batch)
    for step in range(steps):
        rate = options.lr * min(1.0, (step + 1) / 5) * (1 - step / steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        first = step * options.batch % len(blocks.train)
        part = blocks.train[first : first + options.batch]
        loss = whole(part[:, :-1], part[:, 1:])["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        tell(step + 1)
    return Probe(name, steps, before, _bpc(whole, blocks, options.batch))


@torch.no_grad()
def _bpc(whole: LossModel, blocks: _Blocks, batch: int) -> float:
    nats = 0.0
    for part in torch.split(blocks.held_out, batch):
        nats += float(whole(part[:, :-1], part[:, 1:], num_items_in_batch=1)["loss"])
    return nats / math.log(2) / blocks.characters


def _blocks(making: Making, texts: Iterable[str], options: ProbeOptions) -> _Blocks:
    """Blocks of the texts in random order, those that judge apart.

    Where few documents, or short ones, give too few blocks so, they are cut as one text, a separator behind each.

    Raises:
        InputError: the texts are too short.
    """
    folder = making.folder
    tokenizer = read_plain(folder / "tokenizer.json")
    symbols = SymbolText.open(folder, tokenizer) if (folder / SYMBOLS).is_file() else None
    read, written = (symbols.encode, symbols.decode) if symbols else (str, str)
    wanted = options.held_out + max(options.steps, options.composer_steps) * options.batch
    start = ids_before(tokenizer) if options.bos else ()
    size = options.context + 1 - len(start)
    found: list[list[int]] = []
    heard, missing = list[list[int]](), wanted * size
    for text in texts:
        ids = tokenizer.encode(read(text), add_special_tokens=False).ids
        # Few blocks of each document, so that many are heard.
        begins = range(0, len(ids) - size + 1, max(size, len(ids) // _FROM_ONE))
        found += [[*start, *ids[begin : begin + size]] for begin in begins]
        if len(found) >= wanted:
            break
        if missing > 0:
            heard.append(ids[:missing])
            missing -= len(heard[-1])
    separator = None
    if len(found) < options.held_out + options.batch:
        separator = separator_of(Stock.load(making.checkpoint.folder), making.checkpoint)
        end = [] if separator is None else [separator]
        joined = [one for ids in heard for one in (*ids, *end)]
        found = [[*start, *joined[begin : begin + size]] for begin in range(0, len(joined) - size + 1, size)]
    if len(found) < options.held_out + options.batch:
        raise InputError(
            f"the texts have {len(found)} blocks of {options.context} tokens, and probes for init auto need "
            f"{options.held_out + options.batch}; give more text, or name a strategy with --init"
        )
    held, train = _apart(found, options)
    first = max(1, len(start))  # nothing is before it that it could be predicted from
    judged = [[one for one in ids[first:] if one != separator] for ids in held]
    characters = sum(len(written(tokenizer.decode(ids, skip_special_tokens=False))) for ids in judged)
    return _Blocks(torch.tensor(train), torch.tensor(held), characters)


def _apart(found: Sequence[list[int]], options: ProbeOptions) -> tuple[list[list[int]], list[list[int]]]:
    """Blocks that judge (the last ones read, of other documents as far as there are several) and blocks to train on."""
    held, train = list(found[-options.held_out :]), list(found[: -options.held_out])
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(options.seed))
    return held, [train[number] for number in order.tolist()]
