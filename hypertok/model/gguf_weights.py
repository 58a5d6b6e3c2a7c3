"""What an extended model folder has learned, under the names of a GGUF file of its stock model.

New rows come from the folder's embedding and output matrix. Where an adapter was merged (`hypertok merge`) every other
matrix is taken too; norms and biases, which are never trained, stay those of the GGUF file. Names are matched by the
`gguf` package. Whether a matrix is laid out as it is in the file is not believed but seen: training with an adapter
changes a matrix little, so the two must point the same way. llama.cpp's converter takes the rows of the two halves of
each head in turn, in `attn_q` and `attn_k` of the architecture "llama"; that order is tried, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hypertok.artifact import read_manifest
from hypertok.errors import InputError
from hypertok.model.checkpoint import NOT_TEXT, Checkpoint
from hypertok.model.merge import adapted
from hypertok.model.shard import FLOATS, Matrix
from hypertok.tokenizer.gguf_file import GgufFile, Tensor
from hypertok.tokenizer.gguf_rows import Array, values_of
from hypertok.tokenizer.kind import KIND

#: Rows of a matrix that are compared with the stock's.
SAMPLE = 256
#: Cosine between a matrix and its trained form. Measured on Gemma-3-270M: 0.9999 after ten steps of LoRA, in all 126
#: matrices; below 0.01 between matrices of neighbouring layers, and with rows in the other order.
ALIKE = 0.8
#: What models for images put before the names of their language model's tensors.
_WITH_IMAGES = re.compile(r"^(?:model\.language_model|language_model\.model)\.")
#: Without tokenizer.model the converter gives all tokens of SentencePiece one score, and llama.cpp other ids.
_CONVERT = (
    "convert the trained model with llama.cpp's convert_hf_to_gguf.py instead (where the tokenizer is SentencePiece's, "
    "as that of Llama 2, Mistral or Gemma: a copy of the folder, with the file tokenizer.model in it that is written "
    "by: hypertok export FOLDER --to sentencepiece -o tokenizer.model)"
)


@dataclass(frozen=True)
class ModelWeights:
    """The matrices of a model folder, by the names of a GGUF file.

    Attributes:
        checkpoint: the folder's weights.
        matrices: what is trained besides rows, by the name in the GGUF file; none if nothing is.
        heads: attention heads by what is in the names of matrices whose rows may stand in another order.
    """

    checkpoint: Checkpoint
    matrices: dict[str, Matrix] = field(repr=False)
    heads: dict[str, int] = field(repr=False)

    @classmethod
    def open(cls, folder: Path, stock: GgufFile) -> ModelWeights:
        """Read what the folder holds.

        Args:
            folder: of an extended model.
            stock: a GGUF file of the stock model.

        Raises:
            InputError: the folder's weights cannot be read, or a trained matrix has no place in the file.
        """
        checkpoint = Checkpoint.open(folder)
        if not adapted(read_manifest(folder, KIND)):
            return cls(checkpoint, {}, {})
        name_of = _names(stock)
        known = {tensor.name: tensor for tensor in stock.tensors}
        vocabulary = {one.name for one in (checkpoint.input, checkpoint.output, checkpoint.copy) if one}
        matrices = {}
        for matrix in (Matrix(shard, name) for shard in checkpoint.shards for name in shard.entries):
            if len(matrix.entry.shape) != 2 or matrix.name in vocabulary or NOT_TEXT.search(matrix.name):
                continue  # llama.cpp has what is for images in a file of its own, and no adapter was there
            name = name_of(_WITH_IMAGES.sub("model.", matrix.name))
            if name not in known or known[name].shape != matrix.entry.shape[::-1] or matrix.entry.dtype not in FLOATS:
                raise InputError(
                    f"{stock.path}: has no matrix for {matrix.name} {list(matrix.entry.shape)} of {folder}; name a "
                    f"GGUF file of the stock model, or {_CONVERT}"
                )
            matrices[name] = matrix
        return cls(checkpoint, matrices, _heads(stock))

    def rows(self, tensor: Tensor) -> Callable[[Sequence[int]], Array] | None:
        """What gives rows of a matrix over the vocabulary, (ids, width) in float32; None if it is none of those.

        Raises:
            InputError: the model is of another width.
        """
        matrix = {"token_embd.weight": self.checkpoint.input, "output.weight": self.checkpoint.output}.get(tensor.name)
        if matrix is None:
            return None
        if tensor.shape[:-1] != (matrix.width,):
            raise InputError(
                f"{self.checkpoint.folder}: its rows have {matrix.width} numbers, those of {tensor.name} in the GGUF "
                f"file {tensor.shape[0]}; name a GGUF file of the stock model that was extended"
            )
        return partial(_numbers, matrix)

    def matrix(self, tensor: Tensor) -> Callable[[slice], Array] | None:
        """What gives rows of the trained form of a matrix, in the order of the file; None if it stays as it is.

        Raises:
            InputError: it is no trained form of that matrix.
        """
        matrix = self.matrices.get(tensor.name)
        if matrix is None:
            return None
        before = values_of(tensor, slice(SAMPLE))
        orders = [np.arange(matrix.rows)]
        heads = next((count for part, count in self.heads.items() if part in tensor.name), 0)
        if heads and matrix.rows % (2 * heads) == 0:
            orders.append(orders[0].reshape(heads, 2, -1).swapaxes(1, 2).reshape(-1))
        alike, order = max(
            ((_cosine(before, _numbers(matrix, order[:SAMPLE])), order) for order in orders), key=itemgetter(0)
        )
        if not alike >= ALIKE:  # nor is NaN
            raise InputError(
                f"{self.checkpoint.folder}: {matrix.name} is no trained form of {tensor.name} in the GGUF file (cosine "
                f"{alike:.2f}); name a GGUF file of the stock model that was trained, or {_CONVERT}"
            )
        return lambda rows: _numbers(matrix, order[rows])


def _names(stock: GgufFile) -> Callable[[str], str]:
    """What gives the name in the GGUF file for one in the checkpoint, "" if there is none."""
    import gguf

    architecture = stock.value("general.architecture")
    kinds = [kind for kind, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture]
    if not kinds:
        raise InputError(f"{stock.path}: of the architecture {architecture!r}, which gguf does not know; {_CONVERT}")
    names = gguf.get_tensor_name_map(kinds[0], int(stock.value(f"{architecture}.block_count", 0)))
    return lambda name: names.get_name(name, try_suffixes=(".weight",)) or ""


def _heads(stock: GgufFile) -> dict[str, int]:
    prefix = f"{stock.value('general.architecture')}.attention.head_count"
    queries = stock.value(prefix)
    counts = {"attn_q.": queries, "attn_k.": stock.value(f"{prefix}_kv", queries)}
    return {part: count for part, count in counts.items() if isinstance(count, int)}  # one for each layer: no Llama


def _numbers(matrix: Matrix, ids: Sequence[int] | NDArray[Any]) -> Array:
    numbers: Array = matrix.read(ids).float().numpy()
    return numbers


def _cosine(one: Array, two: Array) -> float:
    return float((one * two).sum() / max(np.linalg.norm(one) * np.linalg.norm(two), 1e-30))
