"""Export of an extended tokenizer into a GGUF file of the stock model, for llama.cpp.

Tokens, token types, scores and merges are those of the GGUF plus the new ones; the embedding and output matrices get
one row for each new token. All else is copied bit for bit, but what a trained model has learned (`Weights`).

How llama.cpp then reads text, by `tokenizer.ggml.model` of the file:

- "gpt2" (byte-level: Qwen, Llama 3): it merges the pairs of the list in the list's order, as `tokenizers` does, so
  units of one word give the same ids. How text is cut into pieces is fixed in its code and chosen by the name in
  `tokenizer.ggml.pre`; all known ways cut at spaces. A unit of several words is therefore never made from input
  there; the same text costs more tokens, which are word units and stock tokens. Such units are still valid in output.
- "llama" (SentencePiece-style: Gemma, Llama 2): text is one piece; any two neighbours that make a token are merged,
  highest score first. New units score below all others in the order of their first merges, so units of words and of
  phrases both work. What can differ is said in `export_sentencepiece`.

Nothing is normalised there: text that is not in NFC gives other ids with Qwen, as with the stock model. And
`Llama.detokenize` of llama-cpp-python (seen in 0.3.36) silently drops every token of more than 32 bytes, which is 16
Cyrillic letters; llama.cpp's own programs and its function `llama_detokenize` do not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hypertok.errors import ArtifactError, InputError, install
from hypertok.single_file import require_disk, writing_file
from hypertok.tokenizer.export_common import scores_below
from hypertok.tokenizer.gguf_file import (
    FLOAT32,
    INT32,
    GgufFile,
    Tensor,
    number,
    numbers,
    read_gguf,
    string,
    strings,
    write_gguf,
)
from hypertok.tokenizer.gguf_rows import Array, Parts, grown_tensor, replaced_tensor
from hypertok.tokenizer.kind import DELTA, KIND, read_table
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.surface import row_columns

#: tokenizer.ggml.model of the files that can be extended.
MODELS = {"gpt2": Family.BYTE_LEVEL, "llama": Family.SENTENCEPIECE}
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5  # tokenizer.ggml.token_type


class Weights(Protocol):
    """What a model has learned, by the names of a GGUF file (`hypertok.model.gguf_weights`)."""

    def rows(self, tensor: Tensor) -> Callable[[Sequence[int]], Array] | None:
        """What gives rows of a matrix over the vocabulary, (ids, columns) in float32; None if the model has no such."""

    def matrix(self, tensor: Tensor) -> Callable[[slice], Array] | None:
        """What gives rows of the trained form of another matrix, in float32; None if it stays as it is."""


@dataclass(frozen=True)
class GgufExport:
    """What an export wrote.

    Attributes:
        path: the file.
        rows: tokens in it, and rows of its matrices.
        units: new tokens among them.
        grown: names of the matrices that got rows.
        replaced: names of those that have a trained model's values.
        widened: those of both that have another type: F16 where a type cannot be written, Q8_0 for trained values in
            less.
    """

    path: Path
    rows: int
    units: int
    grown: tuple[str, ...]
    replaced: tuple[str, ...]
    widened: tuple[str, ...]


def export_gguf(
    folder: Path | str,
    output: Path | str,
    *,
    stock_model: Path | str,
    weights: Callable[[GgufFile], Weights] | None = None,
) -> GgufExport:
    """Write the GGUF file `stock_model` with the tokenizer of `folder` in the place of its own.

    Without `weights` a new row is the mean of its constituents' rows, weighted by their characters (both as in
    delta.parquet, for symbol text those of its surface). Rows of ids that no token has are the mean of all.

    Args:
        folder: the extended tokenizer.
        output: the file to write; it is there whole or not at all.
        stock_model: a GGUF file of the stock model, in one part.
        weights: opens the model that new rows, and whatever else is trained, are taken from.

    Raises:
        InputError: gguf is missing, or `stock_model` is no GGUF file of the stock model that was extended or of a kind
            that cannot be extended.
        ArtifactError: delta.parquet is not there, or does not fit the tokenizer beside it.
    """
    tokenizer, model, output = Stock.load(folder), Path(stock_model), Path(output)
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise InputError(f"gguf is not installed; install it with: {install('export')}") from None
    if output.exists() and model.exists() and output.samefile(model):
        raise InputError(f"{output}: would overwrite the model it is made from; name another output")
    stock = read_gguf(model)
    tokens = _checked(tokenizer, stock)
    units = _units(tokenizer)
    _check_same_stock(tokenizer, stock, tokens, units)
    rows = max(len(tokens), max(tokenizer.vocabulary.values()) + 1)
    fields = _fields(tokenizer, stock, tokens, units, rows)
    learned = weights(stock) if weights else None
    tensors, grown, replaced = [], [], []
    for tensor in stock.tensors:
        new = tensor
        # llama.cpp wants one row per token, so any matrix with that many rows is one over the vocabulary.
        if len(tensor.shape) <= 2 and tensor.shape[-1] == len(tokens):
            new = grown_tensor(tensor, units, rows, learned.rows(tensor) if learned else None)
            grown.append(tensor.name)
        elif learned is not None and (values := learned.matrix(tensor)) is not None:
            new = replaced_tensor(tensor, values)
            replaced.append(tensor.name)
        tensors.append(new)
    widened = [new.name for new, old in zip(tensors, stock.tensors, strict=True) if new.type != old.type]
    if not grown:
        raise InputError(f"{model}: no matrix has a row for each of the {len(tokens)} tokens; download it again")
    if output.is_file() or not output.exists():  # a device is written to as it is
        require_disk(output.resolve().parent, sum(tensor.size for tensor in tensors), "the file needs")
    with writing_file(output) as file:
        write_gguf(file, fields, tensors, version=stock.version, alignment=stock.alignment)
    return GgufExport(output, rows, len(units), tuple(grown), tuple(replaced), tuple(widened))


def _checked(tokenizer: Stock, stock: GgufFile) -> list[str]:
    """The GGUF's tokens, after a look at whether such a file can be extended at all."""
    kind, tokens = stock.value("tokenizer.ggml.model"), stock.value("tokenizer.ggml.tokens")
    if not tokens or MODELS.get(kind) is not tokenizer.family:
        raise InputError(
            f"{stock.path}: its tokenizer is of the kind {kind!r}, and {tokenizer.path} is {tokenizer.family.value}; "
            "name a GGUF file of the stock model (kinds gpt2 for byte-level, llama for sentencepiece)"
        )
    for name in ("token_type", "scores"):
        told = stock.value(f"tokenizer.ggml.{name}")
        if told and len(told) != len(tokens):
            raise InputError(
                f"{stock.path}: damaged: tokenizer.ggml.{name} tells of {len(told)} tokens, and there "
                f"are {len(tokens)}; download it again"
            )
    if stock.value("split.count", 0) > 1:
        raise InputError(f"{stock.path}: one of several parts; join them first with: llama-gguf-split --merge")
    return list(tokens)


def _units(tokenizer: Stock) -> dict[int, Parts]:
    """Constituents of each new token, from the delta."""
    path = tokenizer.folder / DELTA
    if not path.is_file():
        raise ArtifactError(f"{path}: not there, so no extended tokenizer; make one with: {KIND.command}")
    table = read_table(path)
    _, *of_rows = row_columns(table.columns)
    units = {}
    for identifier, token, ids, lengths in table.select("id", "token", *of_rows).iter_rows():
        if tokenizer.vocabulary.get(token) != identifier or not ids or len(ids) != len(lengths):
            raise ArtifactError(
                f"{path}: id {identifier} ({token!r}) does not fit {tokenizer.path.name}; extend the stock again with: "
                "hypertok extend"
            )
        units[identifier] = Parts(tuple(ids), tuple(lengths) if any(lengths) else (1,) * len(ids))
    return units


def _check_same_stock(tokenizer: Stock, stock: GgufFile, tokens: list[str], units: Mapping[int, Parts]) -> None:
    """Raise unless the GGUF's tokens are those that the extended tokenizer has at the same ids."""
    types = stock.value("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    for identifier, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        # Other kinds are written in other ways by converters ("[PAD151669]", spaces for "▁").
        if kind == NORMAL and identifier not in units and tokenizer.token_of.get(identifier) != token:
            raise InputError(
                f"{stock.path}: token {identifier} is {token!r}, and {tokenizer.token_of.get(identifier)!r} in "
                f"{tokenizer.path}; "
                "name a GGUF file of the stock model that was extended"
            )
    beyond = next((i for unit in units.values() for i in unit.ids if i >= len(tokens)), None)
    if beyond is not None:
        raise ArtifactError(
            f"{tokenizer.folder / DELTA}: constituent {beyond} is no token of {stock.path} ({len(tokens)} "
            "tokens); extend the stock tokenizer again with: hypertok extend"
        )


def _fields(
    tokenizer: Stock, stock: GgufFile, tokens: list[str], units: Mapping[int, Parts], rows: int
) -> dict[str, bytes]:
    """The GGUF's fields with the tokenizer's tokens in them."""
    special = {token["id"]: bool(token["special"]) for token in tokenizer.added}
    more = rows - len(tokens)
    old, tokens = len(tokens), tokens + [""] * more
    types = (stock.value("tokenizer.ggml.token_type") or [NORMAL] * old) + [UNUSED] * more
    scores = stock.value("tokenizer.ggml.scores")
    if scores:
        new_scores, scores = _scores(tokenizer, stock, scores, units), scores + [0.0] * more
    for identifier in (*(i for i in units if i < old), *range(old, rows)):
        tokens[identifier] = tokenizer.token_of.get(
            identifier, f"[PAD{identifier}]"
        )  # as llama.cpp's own converter names it
        if identifier in units:
            types[identifier] = NORMAL
            if scores:
                scores[identifier] = new_scores[identifier]
        elif identifier in special:
            types[identifier] = CONTROL if special[identifier] else USER_DEFINED
    fields = dict(stock.fields)
    fields["tokenizer.ggml.tokens"] = strings(tokens)
    fields["tokenizer.ggml.token_type"] = numbers(INT32, types)
    if scores:
        fields["tokenizer.ggml.scores"] = numbers(FLOAT32, scores)
    if tokenizer.family is Family.BYTE_LEVEL:
        fields["tokenizer.ggml.merges"] = strings([f"{left} {right}" for left, right in tokenizer.merges])
    size = f"{stock.value('general.architecture')}.vocab_size"
    if size in fields:
        fields[size] = number(rows)
    template = _chat_template(tokenizer)
    if template:
        fields.setdefault("tokenizer.chat_template", string(template))
    return fields


def _scores(tokenizer: Stock, stock: GgufFile, scores: list[float], units: Mapping[int, Parts]) -> dict[int, float]:
    """Score of each unit: below all that the GGUF has, in the order of the units' first merges."""
    made = dict.fromkeys(tokenizer.vocabulary[left + right] for left, right in tokenizer.merges)
    order = [*(identifier for identifier in made if identifier in units), *(units.keys() - made.keys())]
    remedy = "convert the stock model again with llama.cpp's convert_hf_to_gguf.py"
    return scores_below(min(scores), order, stock.path, remedy)


def _chat_template(tokenizer: Stock) -> str | None:
    path = tokenizer.folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = tokenizer.config.get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {one.get("name"): one.get("template") for one in template}.get("default")
    return template if isinstance(template, str) else None
