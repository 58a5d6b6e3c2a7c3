"""`hypertok export`: an extended tokenizer for tiktoken, sentencepiece or llama.cpp."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hypertok.artifact import open_checked
from hypertok.cli.archive import ForceOption
from hypertok.cli.console import err, out, print_json
from hypertok.cli.escaping import escape
from hypertok.errors import InputError
from hypertok.model.extra import require_train
from hypertok.single_file import require_place

if TYPE_CHECKING:
    from hypertok.tokenizer.hyper import HyperTokenizer


Target = Literal["tiktoken", "sentencepiece", "gguf"]
#: What no pattern of words cuts: letters, with a space or other sign before them.
_WORD = re.compile(r".?[^\W\d_]+", re.DOTALL)
_SUFFIXES = {"tiktoken": ".tiktoken", "sentencepiece": ".model", "gguf": ".gguf"}


def export(
    folder: Annotated[Path, typer.Argument(help="Extended tokenizer or model, made by `hypertok extend` or `merge`.")],
    to: Annotated[Target, typer.Option("--to", help="Format; tiktoken also writes a JSON that says how to use it.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: FOLDER with a suffix, here).")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="For gguf, which needs it: the stock model as a GGUF file.", show_default=False)
    ] = None,
    stock_model: Annotated[
        Path | None,
        typer.Option(help="For sentencepiece: the stock tokenizer.model, whose settings are kept.", show_default=False),
    ] = None,
    force: ForceOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Write the tokenizer in another program's format, and say how far that program gives the same ids.

    hypertok export qwen3-notes --to tiktoken

    hypertok export qwen3-notes --to gguf --model qwen3-stock.gguf -o qwen3-notes.gguf

    A folder with weights (`hypertok merge`) gives the GGUF file what it has learned.
    """
    from hypertok.tokenizer.hyper import HyperTokenizer

    for given, option, target in ((model, "--model", "gguf"), (stock_model, "--stock-model", "sentencepiece")):
        if given is not None and to != target:
            raise InputError(f"{option} {given}: is for --to {target} only; leave it out")
    path = output or Path(f"{folder.resolve().name}{_SUFFIXES[to]}")
    _refuse_output(path, folder, to, force)
    tokenizer = HyperTokenizer.from_pretrained(folder)
    if to == "tiktoken":
        facts = _tiktoken(tokenizer, path)
    elif to == "sentencepiece":
        facts = _sentencepiece(tokenizer, path, stock_model)
    else:
        facts = _gguf(tokenizer, path, model)
    if tokenizer.symbol_text:
        facts["parity"].append("the ids are those of symbol text: the text must go through the codec (HyperTokenizer)")
    if as_json:
        print_json({"to": to, **facts})
        return
    for file in facts["files"]:
        size = Path(file).stat().st_size
        out.print(f"[bold]{escape(file)}[/] written, {size:,} bytes", soft_wrap=True)
    out.print(f"{facts['units']:,} new units among {facts['tokens']:,} tokens")
    for line in facts["parity"]:
        err.print(f"parity: {escape(line)}", soft_wrap=True)


def _refuse_output(path: Path, folder: Path, to: Target, force: bool) -> None:
    """See that an export may be written there, before it is made."""
    if str(path) == "-":
        raise InputError("--output -: an export is not written to standard output; name a file")
    if path.resolve().parent == folder.resolve():
        raise InputError(
            f"{path}: loaders of the folder would take it for the tokenizer itself; name an output outside {folder}"
        )
    require_place(path)
    files = [path]
    if to == "tiktoken":
        from hypertok.tokenizer.export_tiktoken import description_of

        files.append(description_of(path))
    there = next((file for file in files if file.is_file()), None)
    if there is not None and not force:
        raise InputError(f"{there} exists: name another file, or give --force to replace it")


def _tiktoken(tokenizer: HyperTokenizer, path: Path) -> dict[str, Any]:
    from hypertok.tokenizer.export_tiktoken import export_tiktoken

    described = export_tiktoken(tokenizer.folder, path)
    facts = _facts(tokenizer, [path, described])
    content = json.loads(described.read_bytes())
    facts["parity"] = [*_merging(tokenizer, facts), "special tokens only with encode(text, allowed_special='all')"]
    if content["normalizer"]:
        facts["parity"].append(f"tiktoken does not normalise: give it text in {content['normalizer']}")
    return facts


def _sentencepiece(tokenizer: HyperTokenizer, path: Path, stock_model: Path | None) -> dict[str, Any]:
    from hypertok.tokenizer.export_sentencepiece import export_sentencepiece

    export_sentencepiece(tokenizer.folder, path, stock_model=stock_model)
    facts = _facts(tokenizer, [path])
    facts["parity"] = [*_merging(tokenizer, facts), "special tokens written in the text are text for sentencepiece"]
    return facts


def _gguf(tokenizer: HyperTokenizer, path: Path, model: Path | None) -> dict[str, Any]:
    from hypertok.tokenizer.export_gguf import export_gguf
    from hypertok.tokenizer.kind import DELTA, KIND, read_table
    from hypertok.tokenizer.stock import Family

    if model is None:
        raise InputError("--to gguf needs the stock model: name its GGUF file with --model")
    weights = None
    if any(tokenizer.folder.glob("*.safetensors")):
        require_train()
        from hypertok.model.gguf_weights import ModelWeights

        open_checked(tokenizer.folder, KIND)  # weights are read
        weights = partial(ModelWeights.open, tokenizer.folder)
    written = export_gguf(tokenizer.folder, path, stock_model=model, weights=weights)
    facts = _facts(tokenizer, [path])
    facts |= {"rows": written.rows, "grown": list(written.grown), "widened": list(written.widened)}
    facts["replaced"] = list(written.replaced)
    rows = [_origin_of_rows(weights is not None, len(written.replaced))]
    if weights and tokenizer.only_read:
        rows.append(
            "the units are only read, and no GGUF file can say so: give llama.cpp a logit_bias of -100 for the "
            f"{facts['units']:,} ids, or it writes them"
        )
    if tokenizer.plain.family is Family.SENTENCEPIECE:
        facts["parity"] = [*rows, *_merging(tokenizer, facts)]
        return facts
    if tokenizer.symbol_text:
        cut = "llama.cpp cuts symbol text as all other: units that reach over a cut are never made from input"
        facts["parity"] = [*rows, cut]
        return facts
    texts = read_table(tokenizer.folder / DELTA, ["text"])["text"].drop_nulls()  # null: part of a letter
    facts["phrase_units"] = sum(_WORD.fullmatch(text) is None for text in texts)
    facts["parity"] = [*rows, "units inside words: the same ids as here, for text in the same Unicode normal form"]
    if facts["phrase_units"]:
        facts["parity"].append(
            f"{facts['phrase_units']:,} units reach over a space, comma or hyphen: llama.cpp cuts there first, so it "
            "never makes them from input (the text costs more tokens); in output they are valid"
        )
    return facts


def _origin_of_rows(model: bool, replaced: int) -> str:
    if not model:
        return "new rows are means of their constituents' rows: nothing in this file has learned to use them"
    if not replaced:
        return "new rows are the folder's; no adapter was trained, so all else is the stock model's"
    return f"new rows and {replaced:,} matrices are the trained model's, norms and stock rows those of the stock model"


def _facts(tokenizer: HyperTokenizer, files: list[Path]) -> dict[str, Any]:
    return {"files": list(map(str, files)), "units": len(tokenizer.new_ids), "tokens": tokenizer.vocab_size}


def _merging(tokenizer: HyperTokenizer, facts: dict[str, Any]) -> list[str]:
    """How far merging by ids or scores does what the list of merges does; counts go into `facts`."""
    from hypertok.tokenizer.export_common import MergeAgreement
    from hypertok.tokenizer.stock import Stock

    agreement = MergeAgreement.of(Stock.load(tokenizer.folder), tokenizer.new_ids)
    facts |= {"merges_out_of_order": agreement.out_of_order, "pairs_without_merge": agreement.free_pairs}
    if not agreement.out_of_order and not agreement.free_pairs:
        return ["the new merges act alike by construction (in the order of ids, and every pair is a merge)"]
    return [
        f"ids can differ where tokens of {agreement.free_pairs:,} pairs without a merge meet, or by the order of "
        f"{agreement.out_of_order:,} merges; elsewhere they are the same"
    ]
