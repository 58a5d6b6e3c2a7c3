"""`hypertok train` and `hypertok merge`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hypertok.cli.console import err, left_out, out, print_json, tells
from hypertok.cli.escaping import escape
from hypertok.errors import InputError, quoted
from hypertok.model.extra import require_train
from hypertok.tokenizer.kind import only_read
from hypertok.training.options import Dtype, LoraOptions, read_options

if TYPE_CHECKING:
    from hypertok.training.train import TrainResult

_OUTPUT = typer.Option("--output", "-o", help="Folder to write.")


def train(
    model: Annotated[
        Path, typer.Argument(help="Extended model folder (or a stock one: adapter alone).", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder or file of texts to train on. They must stay as they are until the run is done: for "
            "notes that you go on writing, make a copy."
        ),
    ],
    output: Annotated[Path, _OUTPUT],
    held_out: Annotated[
        Path | None,
        typer.Option(help="Texts to evaluate on, the first 200,000 characters of them; refused if also in --data."),
    ] = None,
    rows_only: Annotated[bool, typer.Option("--rows-only", help="Train the new rows and no adapter.")] = False,
    reading: Annotated[
        bool,
        typer.Option(
            "--reading", help="Train the new rows, and no adapter, to be read only: the model writes stock tokens."
        ),
    ] = False,
    lora: Annotated[
        str | None,
        typer.Option(
            metavar="r=N[,alpha=A][,dora][,targets=NAME+NAME]",
            help="LoRA adapter: rank r, scale alpha (default: 2 r), dora to train magnitude and direction apart, "
            "targets to name its layers (default: all linear ones). By default r=32.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of the same run; one that is done stays.")
    ] = False,
    characters: Annotated[
        int | None, typer.Option(min=1, help="Characters of raw text to read; all by default.")
    ] = None,
    dtype: Annotated[
        Dtype | None,
        typer.Option(
            help="Data type of the frozen model and of computing (default: auto, which is bfloat16, or float32 on a "
            "CPU without bfloat16 instructions)."
        ),
    ] = None,
    context: Annotated[int | None, typer.Option(min=2, help="Tokens of a block (default: 512).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Blocks taken at once (default: 8).")] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, help="Batches before the weights change (default: 1).")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="How often the text is read (default: 1).")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, help="Seed of the order of files and blocks, and of the adapter's first values (default: 0)."
        ),
    ] = None,
    report_to: Annotated[
        str | None, typer.Option(help="tensorboard, or none (default; log.jsonl is always written).")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any other parameter, e.g. rows_lr=5e-4 (highest learning rate of the new rows; default: 1e-3) or "
            "lora_lr=1e-4 (of the adapter; default: 5e-4). An unknown name lists them all. May be repeated.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Train the new rows of an extended model, and an adapter, on your own texts.

    The model itself stays as it is; what was trained is written apart, and `hypertok merge` puts both together.

    Texts are read as they are. Of chats in records (messages, conversations) the roles are dropped: write them by the
    model's chat template first, each as one record with a field "text".

      hypertok train model-notes --data corpus/ -o model-notes-lora
      hypertok train model-notes --data corpus/ -o model-notes-lora --resume
      hypertok train model-notes --data corpus/ -o model-notes-read --reading
      accelerate launch --num_processes 4 -m hypertok train model-notes --data corpus/ -o model-notes-lora
    """
    require_train()
    from hypertok.training.train import train as run

    given: dict[str, Any] = dict(_assignments(set_ or []))
    named = {
        "characters": characters, "context": context, "batch": batch, "accumulate": accumulate, "epochs": epochs,
        "seed": seed, "report_to": report_to, "dtype": dtype,
        "rows_only": rows_only or reading or None, "reading": reading or None,
        "lora": None if lora is None else LoraOptions.parse(lora),
    }  # fmt: skip
    for name, value in named.items():
        if value is None:
            continue
        if name in given:
            raise InputError(f"--set {name}: --{name.replace('_', '-')} says it, too; give one of them")
        given[name] = value
    with left_out() as skipped:
        done = run(
            model, data, output, read_options(given), held_out=held_out, resume=resume, progress=err.is_terminal,
            skipped=skipped, tell=lambda text: err.print(escape(text), soft_wrap=True),
        )  # fmt: skip
        if not tells():
            return
        if as_json:
            print_json(done.manifest.to_json())
        else:
            _print(done, output)


def _print(done: TrainResult, output: Path) -> None:
    """For a person."""
    from hypertok.model.trained import NEW_ROWS

    facts = done.manifest.facts
    told = ""
    if done.eval_bpc is not None:
        told = f", held out {done.eval_bpc:.3f} bits per character of {facts['held_out_characters']:,} characters"
    elif "eval_loss" in facts:  # of units that are only read
        told = f", held out loss {facts['eval_loss']:.3f}"
    out.print(
        f"[bold]{escape(str(output))}[/] written: {facts['trained']:,} parameters trained on {facts['characters']:,} "
        f"characters ({facts['tokens']:,} tokens), {facts['steps']:,} steps, loss {done.loss:.3f}{told}",
        soft_wrap=True,
    )
    command = f"hypertok merge {quoted(output)} -o {quoted(Path(f'{output}-merged'))}"
    out.print(f"one checkpoint: {escape(command)}", soft_wrap=True)
    if facts["adapter"] and NEW_ROWS in done.manifest.files:
        told = "the folder is for that command: PEFT and others would read its adapter alone, without the new rows"
        out.print(told, soft_wrap=True)


def merge(
    trained: Annotated[Path, typer.Argument(help="Folder from `hypertok train`.", show_default=False)],
    output: Annotated[Path, _OUTPUT],
    model: Annotated[Path | None, typer.Option(help="Where the model it was trained on lies now, if moved.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="Data type of the result; auto: the model's own.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Merge adapter and new rows into the model: one checkpoint in plain safetensors, which needs no hypertok.

    hypertok merge model-notes-lora -o model-notes-merged
    """
    require_train()
    from hypertok.model.merge import merge as run

    manifest = run(trained, output, model=model, dtype=dtype)
    if as_json:
        print_json(manifest.to_json())
        return
    size = sum((output / name).stat().st_size for name in manifest.files)
    out.print(
        f"[bold]{escape(str(output))}[/] written: {size / 1e9:.2f} GB, loads in transformers as it is", soft_wrap=True
    )
    if only_read(manifest.recipe):
        out.print(
            "its units are only read: generate of transformers goes by suppress_tokens in generation_config.json; "
            "vLLM, llama.cpp and settings of your own pass over it, so give them the units' ids as logit_bias -100, or "
            "the stock ids as allowed_token_ids",
            soft_wrap=True,
        )
    if lost := manifest.facts.get("lost"):
        first: dict[str, str] = {}  # of each part of the model
        for name in lost:
            first.setdefault(name.removeprefix("model.").split(".")[0], name)
        err.print(
            f"[yellow]left out:[/] {len(lost):,} tensors of the model are not in it, because transformers loads a "
            f"causal language model of this kind without them ({escape(', '.join(first.values()))} …)",
            soft_wrap=True,
        )


def _assignments(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--set {text}: write it like NAME=VALUE")
        yield name.strip(), value.strip()
