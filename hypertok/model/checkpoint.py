"""A model's folder as transformers reads it: its configuration, its shards, and its input and output matrices.

Nothing is loaded: opening reads the headers of the shards, rows are read when they are asked for. What cannot be
extended is refused here, so that whoever has a `Checkpoint` can rely on what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hypertok.artifact import own_files
from hypertok.errors import InputError
from hypertok.model.config import refuse_adapter
from hypertok.model.shard import FLOATS, INDEX, SINGLE, Entry, Matrix, WeightFile
from hypertok.tokenizer.stock_file import text_config_of

CONFIG = "config.json"
#: How the matrices are called: Llama, Qwen, Mistral, Gemma and most others; GPT-2; GPT-NeoX; Falcon and Bloom.
INPUT_NAMES = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
OUTPUT_NAMES = ("lm_head.weight", "embed_out.weight")
#: Parts of a name that say it is not of the language model.
NOT_TEXT = re.compile(r"vision|visual|audio|image|talker|multi_modal")
#: The same, or that it is inside a layer.
_ELSEWHERE = re.compile(rf"\.\d+\.|{NOT_TEXT.pattern}")
_SAVE = "load it with transformers and save it with save_pretrained(folder, safe_serialization=True), then extend that"
_GGUF = (
    "take the model's original safetensors, or make some: AutoModelForCausalLM.from_pretrained(folder, gguf_file=NAME, "
    "quantization_config=GgufConfig(dequantize=True)).save_pretrained(OTHER_FOLDER), of transformers 5.23, and put the "
    "original tokenizer.json there"
)
_ORIGINAL = "extend the original model in bf16, fp16 or fp32 and quantise the result"
_ANOTHER = "take another model, or extend its tokenizer alone (--init none)"


@dataclass(frozen=True)
class Checkpoint:
    """A model on disk whose rows can be read and extended.

    Attributes:
        folder: where it lies.
        config: the content of config.json.
        shards: its weight files, in the order of their names.
        input: the embedding matrix, (rows, width).
        output: the matrix of the output head, (rows, width); the same object as `input` if they are tied.
        copy: a tied model's second copy of the input matrix, where the file holds one.
    """

    folder: Path
    config: dict[str, Any]
    shards: tuple[WeightFile, ...]
    input: Matrix
    output: Matrix
    copy: Matrix | None = None

    @classmethod
    def open(cls, folder: Path | str) -> Checkpoint:
        """Read what the folder holds.

        Raises:
            InputError: it holds no such model, is damaged or incomplete, or is of a kind that cannot be extended (GGUF,
                quantised, pickled); the message says what to do.
        """
        folder = Path(folder)
        _refuse_gguf(folder)
        config = _config(folder)
        shards = _shards(folder)
        _refuse_quantised(shards)
        matrices = [Matrix(shard, name) for shard in shards for name in shard.entries]
        input = _the_one(folder, matrices, INPUT_NAMES, "embedding matrix")
        if input is None:
            raise InputError(
                f"{folder}: no embedding matrix (a tensor called …{', …'.join(INPUT_NAMES)}): not a causal language "
                f"model, or of a kind that hypertok does not know; {_ANOTHER}"
            )
        head = _the_one(folder, matrices, OUTPUT_NAMES, "output matrix")
        _refuse_other_rows(matrices, input, head)
        if not _is_tied(folder, config, input, head):
            return cls(folder, config, shards, input, head or input)
        return cls(folder, config, shards, input, input, head)

    @property
    def tied(self) -> bool:
        """Whether input and output are one matrix."""
        return self.output is self.input

    @property
    def stock_rows(self) -> int:
        """Rows of the matrices, reserved ones included."""
        return self.input.rows

    @property
    def loaded(self) -> dict[str, Entry]:
        """The tensors by name that a loaded model holds: not a tied model's second copy of its matrix."""
        found = {entry.name: entry for shard in self.shards for entry in shard.entries.values()}
        if self.copy is not None:
            del found[self.copy.name]
        return found

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the input matrix."""
        return self.input.dtype

    @property
    def text_config(self) -> dict[str, Any]:
        """The part of the configuration that describes the language model."""
        return text_config_of(self.config)

    def check_tokens(self, ids: Iterable[int]) -> None:
        """Refuse a tokenizer that is not this model's.

        Args:
            ids: of the ordinary vocabulary. Added tokens are left out: Gemma 3's text models have no row for
                `<image_soft_token>`, which their tokenizer knows.

        Raises:
            InputError: the model has no row for one of them.
        """
        highest = max(ids, default=-1)
        if highest >= self.stock_rows:
            raise InputError(
                f"{self.folder}: the model has {self.stock_rows:,} rows and its tokenizer an id {highest:,}: they do "
                "not belong together; use the tokenizer that came with the model"
            )


def _refuse_gguf(folder: Path) -> None:
    if folder.suffix.lower() == ".gguf" and folder.is_file():
        raise InputError(f"{folder}: a GGUF file cannot be extended; {_GGUF}")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name the folder of a model with {CONFIG} and safetensors files")
    if not own_files(folder, "*.safetensors") and (found := own_files(folder, "*.gguf")):
        raise InputError(f"{found[0]}: a GGUF file cannot be extended; {_GGUF}")


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    refuse_adapter(folder)
    if not path.is_file():
        raise InputError(
            f"{folder}: no {CONFIG}, so no model; extend, train and merge need a model's folder with its weights"
        )
    config = _read_json(path, "download it with the model")
    if any(part.get("quantization_config") for part in (config, text_config_of(config))):
        raise InputError(f"{path}: quantization_config: a quantised model cannot be extended; {_ORIGINAL}")
    return config


def _shards(folder: Path) -> tuple[WeightFile, ...]:
    if (folder / SINGLE).is_file():
        return (WeightFile.open(folder / SINGLE),)
    if not (folder / INDEX).is_file():
        raise InputError(_no_weights(folder))
    index = _read_json(folder / INDEX, "download it again")
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InputError(f"{folder / INDEX}: no weight_map; download it again")
    shards = {}
    for file in sorted({str(file) for file in weight_map.values()}):
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise InputError(
                f"{folder / INDEX}: names {file!r}, which is no safetensors file of this folder; do not use this model "
                "unless you know where it comes from, or put the file into the folder and correct the index"
            )
        if not (folder / file).is_file():
            raise InputError(f"{folder / file}: named in {INDEX} and not there; download the model completely")
        shards[file] = WeightFile.open(folder / file)
    for file, shard in shards.items():
        for name in shard.entries:
            if weight_map.get(name, file) != file:
                raise InputError(f"{shard.path}: holds {name}, for which {INDEX} names {weight_map[name]}; {_SAVE}")
    for name, file in weight_map.items():
        if name not in shards[file].entries:
            raise InputError(f"{folder / file}: lacks {name}, which {INDEX} says is in it; download both again")
    return tuple(shards.values())


def _no_weights(folder: Path) -> str:
    parts = sorted(folder.glob("model-*-of-*.safetensors"))
    if parts:
        return f"{folder}: {parts[0].name} and no {INDEX}; download the index too"
    pickled = own_files(folder, "*.bin", "*.pt", "*.pth")
    if pickled:
        return f"{pickled[0]}: weights in pickle format are not read, because reading them can run any code; {_SAVE}"
    return f"{folder}: no weights here ({SINGLE} or {INDEX}); name the folder of a model, or download it completely"


def _refuse_quantised(shards: Iterable[WeightFile]) -> None:
    for shard in shards:
        for entry in shard.entries.values():
            # Whole numbers of one byte are buffers in some old models; as weights they are a quantised matrix.
            packed = entry.dtype in ("U8", "I8") and entry.name.endswith("weight")
            if packed or entry.dtype.startswith(("F8_", "F6_", "F4")):
                raise InputError(
                    f"{shard.path}: {entry.name} is {entry.dtype}: a quantised model cannot be extended; {_ORIGINAL}"
                )


def _the_one(folder: Path, matrices: Iterable[Matrix], names: Sequence[str], what: str) -> Matrix | None:
    """The language model's matrix with one of the names, None if there is none."""
    found = [
        matrix
        for matrix in matrices
        if f".{matrix.name}".endswith(tuple(f".{name}" for name in names)) and not _ELSEWHERE.search(matrix.name)
    ]
    if len(found) > 1:
        raise InputError(
            f"{folder}: {found[0].name} and {found[1].name} can both be the {what}; hypertok extends models with one: "
            f"{_ANOTHER}"
        )
    if not found:
        return None
    entry = found[0].entry
    if entry.dtype not in FLOATS or len(entry.shape) != 2 or not all(entry.shape):
        raise InputError(
            f"{found[0].shard.path}: {entry.name} is {entry.dtype} of shape {entry.shape}; needed is a matrix in "
            f"one of {', '.join(FLOATS)}; {_SAVE}"
        )
    return found[0]


def _refuse_other_rows(matrices: Iterable[Matrix], input: Matrix, head: Matrix | None) -> None:
    """Whatever else has a row per token would be too short for the new ids."""
    if head is not None and head.rows != input.rows:
        raise InputError(
            f"{head.shard.path}: {head.name} has {head.rows:,} rows and {input.name} {input.rows:,}; resize the model "
            "with resize_token_embeddings to the larger number first"
        )
    for matrix in matrices:
        name, shape = matrix.name, matrix.entry.shape
        by_layer = name.endswith("embed_tokens_per_layer.weight")  # of fewer rows in Gemma 3n: the rest is 0
        named = name.endswith((*INPUT_NAMES, *OUTPUT_NAMES, "head.weight", "head.bias"))
        per_token = by_layer or (named and shape[:1] == input.entry.shape[:1])
        if per_token and matrix not in (input, head) and not NOT_TEXT.search(name):
            raise InputError(
                f"{matrix.shard.path}: {name} has a row for each token too, which hypertok cannot extend; remove "
                "layers that predict ahead; models with a head bias or embeddings for each layer (Gemma 3n) are not "
                "supported"
            )


def _is_tied(folder: Path, config: dict[str, Any], input: Matrix, head: Matrix | None) -> bool:
    """Whether the output is the input matrix.

    A flag that is absent means the default of the model's class (True for Gemma, False for Llama), and what the files
    hold agrees with it: a class that does not tie writes the output matrix. transformers 5 does not tie matrices that
    differ, whatever the flag says.

    Raises:
        InputError: flag and files contradict each other.
    """
    parts = (config, text_config_of(config))
    flags = [part["tie_word_embeddings"] for part in parts if part.get("tie_word_embeddings") is not None]
    if head is None:
        if flags and not any(flags):
            raise InputError(
                f"{folder / CONFIG}: tie_word_embeddings is false and the files hold no output matrix; set it to true "
                "if the model is tied, or download the missing file"
            )
        return True
    if flags and not flags[0]:
        return False
    same = _same(input, head)
    if flags and not same:
        raise InputError(
            f"{folder / CONFIG}: tie_word_embeddings is true and {head.name} differs from {input.name}; set it to "
            f"false if both are needed, or remove {head.name} from the files"
        )
    return same


def _same(one: Matrix, other: Matrix) -> bool:
    if (one.entry.dtype, one.entry.shape) != (other.entry.dtype, other.entry.shape):
        return False
    pairs = zip(one.blocks(), other.blocks(), strict=True)
    return all(torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in pairs)


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no object; {remedy}")
    return content
