"""Memory of a model: what its published configuration predicts, what fits a card, and what a fresh process needs.

The key-value cache of a full-attention layer grows by 2 x kv heads x head dimension x bytes with every token. A layer
with a sliding window of W tokens (five of six in Gemma 3) keeps W - 1 between steps, as the cache of transformers does
(the token of the step itself is the W-th), so its part stops growing. Counted is what stays after a prefill; during it
every layer has the keys of all tokens for a moment, which the measured peak shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypertok.errors import InputError, first_line
from hypertok.model.config import positions_of, reason_of
from hypertok.model.extra import require_train

GIB = 1 << 30
#: GiB of a card that are left for everything in passing, where the longest context is computed.
RESERVE_GIB = 1.0
#: Of one number of a data type.
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
#: Attributes of configurations whose cache follows other rules than those counted here.
_OTHER_RULES = (
    "kv_lora_rank", "global_head_dim", "kv_sharing_modes", "num_kv_shared_layers", "cross_attention_layers",
)  # fmt: skip


@dataclass(frozen=True)
class CacheLayers:
    """Layers with the same cache: each keeps `bytes_per_token` for every token, or for the last `kept` ones."""

    layers: int
    bytes_per_token: int
    kept: int | None = None

    def bytes(self, tokens: int) -> int:
        """Bytes that these layers keep after `tokens` tokens of one sequence."""
        return self.layers * self.bytes_per_token * (tokens if self.kept is None else min(tokens, self.kept))


@dataclass(frozen=True)
class LongestContext:
    """What fits a card beside the weights; `limit` says what ends it: memory, positions (of the model) or weights."""

    card_gib: float
    tokens: int
    characters: int
    limit: str


@dataclass(frozen=True)
class PredictedMemory:
    """Predicted bytes of a model for one sequence.

    Attributes:
        parameters: all of them, tied matrices once.
        weights: their bytes.
        new_rows: the part of `weights` that the rows of new units take, both matrices if untied.
        cache: layers by the cache they keep.
        cache_per_token: growth of the cache with each token, once the windows are full.
        cache_of_windows: what layers with a window keep in the end, whatever the length.
        cache_per_1000_characters: growth with 1,000 characters of text like that measured.
        characters_per_token: of that text.
        positions: the longest sequence that the configuration allows, in tokens.
    """

    parameters: int
    weights: int
    new_rows: int
    cache: tuple[CacheLayers, ...]
    cache_per_token: int
    cache_of_windows: int
    cache_per_1000_characters: float
    characters_per_token: float
    positions: int | None

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of the key-value cache after `tokens` tokens of one sequence."""
        return sum(layers.bytes(tokens) for layers in self.cache)

    def longest_context(self, card_gib: float, *, reserve_gib: float = RESERVE_GIB) -> LongestContext:
        """The longest text that a card of `card_gib` GiB holds, with `reserve_gib` left for everything in passing.

        A whole text read at once takes more in passing: 3.8 GiB for 32,768 tokens of Gemma-3-270M.
        """
        room = int((card_gib - reserve_gib) * GIB) - self.weights
        if room < self.cache_bytes(1):
            return LongestContext(card_gib, 0, 0, "weights")
        most = self.positions if self.positions is not None else 1 << 40
        low, high = 1, most  # the cache of `low` tokens fits
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.cache_bytes(middle) <= room else (low, middle - 1)
        limit = "positions" if low == most else "memory"
        return LongestContext(card_gib, low, int(low * self.characters_per_token), limit)


@dataclass(frozen=True)
class MeasuredMemory:
    """What a prefill of one text took, in a process started for it.

    Attributes:
        method: "peak RSS of a fresh process" ("…, loading included" where the system forgets no peak), "peak of the
            CUDA allocator", or what a system without /proc tells.
        tokens, characters: of the text.
        before: bytes in use before the model was loaded (the libraries, on a CPU).
        loaded: bytes after loading; on a CPU the weights' file is mapped and may not be read yet.
        peak: the most in use from the end of loading to the end of the prefill; with the loading if `method` says so.
        cache: bytes of the key-value cache's own tensors after it.
    """

    method: str
    tokens: int
    characters: int
    before: int
    loaded: int
    peak: int
    cache: int


def predict_memory(
    config: Any,
    *,
    characters_per_token: float,
    rows: int | None = None,
    new_rows: int = 0,
    bytes_per_element: int | None = None,
) -> PredictedMemory:
    """Memory by the configuration alone; no weights are read or made.

    Args:
        config: a configuration of transformers, or the content of a published config.json.
        characters_per_token: of the text that the context is to hold.
        rows: rows of the model, where they are not the configuration's vocab_size.
        new_rows: how many of them are those of new units.
        bytes_per_element: of weights and cache; None takes the configuration's dtype, else two (bfloat16).

    Raises:
        InputError: an unknown model type, fields that transformers refuses, or a cache whose rules are not known here.
    """
    config = configuration_of(config)
    text = config.get_text_config(decoder=True)
    if rows is not None:
        text.vocab_size = rows
    size = bytes_per_element or _element_size(config)
    parameters, cache = count_parameters(config), cache_layers(config, size)
    grows = sum(one.layers * one.bytes_per_token for one in cache if one.kept is None)
    matrices = 1 if text.tie_word_embeddings else 2
    return PredictedMemory(
        parameters=parameters,
        weights=parameters * size,
        new_rows=new_rows * text.hidden_size * matrices * size,
        cache=cache,
        cache_per_token=grows,
        cache_of_windows=sum(one.bytes(1 << 40) for one in cache if one.kept is not None),
        cache_per_1000_characters=grows * 1000 / characters_per_token,
        characters_per_token=characters_per_token,
        positions=positions_of(config),
    )


def cache_layers(config: Any, bytes_per_element: int) -> tuple[CacheLayers, ...]:
    """What each kind of layer keeps in the key-value cache: with grouped heads, only the key-value heads count."""
    text = config.get_text_config(decoder=True)
    for name in _OTHER_RULES:
        if getattr(text, name, None):
            raise _not_predicted(text, f"a model with {name}")
    queries = getattr(text, "num_attention_heads", None)
    if not queries:
        raise _not_predicted(text, "a model without attention")
    heads = _key_value_heads(text, queries)
    dimension = getattr(text, "head_dim", None) or text.hidden_size // queries
    if getattr(text, "v_head_dim", None) not in (None, dimension):
        raise _not_predicted(text, "a model whose v_head_dim differs from its head_dim")
    window = getattr(text, "sliding_window", None)
    kinds = getattr(text, "layer_types", None)
    if kinds is None:
        kinds = ["full_attention" if window is None else "sliding_attention"] * text.num_hidden_layers
    found: Counter[int | None] = Counter()
    for kind in kinds:
        if kind == "sliding_attention" and window is not None:
            found[window - 1] += 1
        elif kind == "full_attention":
            found[None] += 1
        else:
            raise _not_predicted(text, f"a layer of {kind}")
    per_token = 2 * heads * dimension * bytes_per_element
    return tuple(CacheLayers(layers, per_token, kept) for kept, layers in found.items())


def _not_predicted(text: Any, what: str) -> InputError:
    return InputError(f"{text.model_type}: the cache of {what} is not predicted; measure it instead")


def _key_value_heads(text: Any, queries: int) -> int:
    # Falcon-7B has one, and says so in words of its own.
    if getattr(text, "multi_query", False) and not getattr(text, "new_decoder_architecture", False):
        return 1
    found: int = getattr(text, "num_key_value_heads", None) or queries
    return found


def count_parameters(config: Any) -> int:
    """Parameters of the model that a configuration describes, tied ones once; it is built without memory.

    Raises:
        InputError: transformers makes no causal language model of it.
    """
    import torch
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    try:
        with torch.device("meta"):
            model = auto.from_config(deepcopy(config), trust_remote_code=False, attn_implementation=None)
    except ValueError as error:
        raise InputError(
            f"{config.model_type}: no causal language model of transformers ({first_line(error)}); give the "
            "configuration of a model that is for text alone"
        ) from error
    return sum(parameter.numel() for parameter in model.parameters())


def measure_prefill(
    folder: Path, ids: Sequence[int], characters: int, *, device: str = "cpu", dtype: str = "auto"
) -> MeasuredMemory:
    """Load a model in a fresh process, run one text through it with a cache, and see what that took.

    Args:
        ids: of the text, start included.
        characters: of the text.

    Raises:
        InputError: the process failed; its last line says why. Or nothing tells what is in use on such a device.
    """
    if (kind := device.partition(":")[0]) not in ("cpu", "cuda"):  # mps keeps no peak, and RSS does not have it all
        raise InputError(
            f"memory on {kind} is not measured: nothing tells its peak; leave memory out, or measure it on the CPU"
        )
    # -P: else a tokenizers.py in the folder where somebody works would be run instead of the library.
    command = [sys.executable, "-P", "-m", "hypertok.measure.prefill"]
    asked = json.dumps({"folder": str(folder), "ids": list(map(int, ids)), "device": device, "dtype": dtype})
    done = subprocess.run(
        command,
        input=asked,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}; was it killed for memory?"])[-1]
        raise InputError(
            f"{folder}: the prefill of {len(ids):,} tokens failed: {why}; read fewer characters, or compute in bfloat16"
        )
    return MeasuredMemory(characters=characters, tokens=len(ids), **json.loads(done.stdout.splitlines()[-1]))


def configuration_of(config: Any) -> Any:
    """A configuration of transformers of its own, of another one or of the content of a published config.json.

    Raises:
        InputError: an unknown model type, or fields that transformers refuses.
    """
    require_train()
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    if isinstance(config, Mapping):
        given = dict(config)
        kind = given.pop("model_type", None)
        try:
            config = AutoConfig.for_model(kind, **given)
        except ValueError as error:
            raise InputError(f"model type {kind!r} of the configuration is not known to transformers") from error
        except StrictDataclassError as error:
            raise InputError(f"configuration of {kind}: {reason_of(error)}; correct it") from error
    return deepcopy(config)


def _element_size(config: Any) -> int:
    named = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    return BYTES.get(str(named).removeprefix("torch."), 2)
