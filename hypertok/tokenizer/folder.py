"""The folder of an extended tokenizer, such that transformers loads exactly what tokenizer.json says.

AutoTokenizer takes `tokenizer_class` from tokenizer_config.json, but the class of one model (Qwen2Tokenizer,
GemmaTokenizer, LlamaTokenizer, GPT2Tokenizer) builds its tokenizer anew from the vocabulary and the merges alone: with
its own pre-tokenizer and without `ignore_merges`. So the general class is named, which takes tokenizer.json as it is. A
few model types get their own class whatever is named (`FORCED_MODEL_TYPES`), unless there is an `auto_map`: without
trust_remote_code it is passed over and the named class is taken, with it the class in the file beside is.

Vocabulary files in other formats (tokenizer.model, vocab.json, merges.txt, tekken.json) are left out: they hold the
stock vocabulary, and some loaders and converters prefer them. Exports write extended ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hypertok.artifact import own_files
from hypertok.errors import InputError
from hypertok.single_file import write_file
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.stock_file import is_own, read_side_file, text_config_of

#: The general class under the name that transformers 4 and 5 both know (5 calls it TokenizersBackend when it saves).
TOKENIZER_CLASS = "PreTrainedTokenizerFast"
#: Model types whose own class transformers 5.23 takes over the one named in tokenizer_config.json.
FORCED_MODEL_TYPES = frozenset(
    {"qwen2", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen4_exp", "hyperclovax_vision_v2", "siglip2"}
)
_SPECIAL_TOKENS, _ADDED_TOKENS = "special_tokens_map.json", "added_tokens.json"
#: Files beside the tokenizer that say how it is used, and hold no vocabulary.
COPIED = ("chat_template.jinja", "chat_template.json", _SPECIAL_TOKENS, "generation_config.json")
#: Special tokens that the classes themselves have by default (transformers 5.23); the general class has to be told.
_CLASS_DEFAULTS = {
    "GemmaTokenizer": {f"{name}_token": f"<{name}>" for name in ("unk", "bos", "eos", "pad", "mask")},
    "GPT2Tokenizer": dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
    "LlamaTokenizer": {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"},
    "Qwen2Tokenizer": dict.fromkeys(("unk_token", "eos_token", "pad_token"), "<|endoftext|>"),
}
#: The class that transformers 5.23 takes for a model type where none is named.
_CLASS_OF_TYPE = {
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n", "gemma3n_text"), "GemmaTokenizer"),
    **dict.fromkeys(("gpt2", "gpt_neo", "gptj", "codegen", "phi", "starcoder2"), "GPT2Tokenizer"),
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next"), "Qwen2Tokenizer"),
}
#: Model types that name LlamaTokenizer for SentencePiece's vocabulary and get the general class (transformers 5.23).
_NOT_LLAMA = frozenset(
    {
        "ernie4_5", "ernie4_5_moe", "fuyu", "internlm3", "jamba", "llava", "llava_next", "minicpm3", "ministral",
        "ministral3", "mistral", "mistral3", "mixtral", "nemotron", "persimmon", "phi3", "phi3_v", "phimoe",
    }
)  # fmt: skip
_CODE_FILE = "tokenization_hypertok.py"
_CODE = '''"""The tokenizer of this folder, as tokenizer.json says; read only with trust_remote_code=True."""

from transformers import PreTrainedTokenizerFast


class HypertokTokenizer(PreTrainedTokenizerFast):
    """The general class: it does not build the tokenizer anew from vocabulary and merges."""
'''


def write_tokenizer(folder: Path, stock: Stock, data: dict[str, Any]) -> list[Path]:
    """Write tokenizer.json, tokenizer_config.json and what else belongs to a tokenizer into a folder.

    config.json is not written: it describes a model, whose rows the folder does not have.

    Args:
        folder: an existing folder.
        stock: the tokenizer that was extended; its side files are kept.
        data: the content of the extended tokenizer.json.

    Returns:
        The files written.

    Raises:
        InputError: what `check_tokens` raises.
    """
    check_tokens(stock)
    config = _config(stock)
    files = {
        "tokenizer.json": json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
        "tokenizer_config.json": (json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode(),
    }
    if "auto_map" in config:
        files[_CODE_FILE] = _CODE.encode()
    listed = bool(other_templates(stock.folder))  # beside a list transformers would take the one in the file for all
    for name in COPIED:
        if is_own(stock.folder / name, stock.folder) and not (listed and name == "chat_template.jinja"):
            files[name] = (stock.folder / name).read_bytes()
    for name, content in files.items():
        write_file(folder / name, content)
    return [folder / name for name in files]


def _config(stock: Stock) -> dict[str, Any]:
    """The stock tokenizer_config.json with the class changed, and what hangs on the class."""
    config = {key: value for key, value in stock.config.items() if key != "auto_map"}  # the stock's own code
    for name, token in _CLASS_DEFAULTS.get(_class_of(stock), {}).items():
        if token in stock.vocabulary:
            config.setdefault(name, token)
    if _pads_left(stock):
        config.setdefault("padding_side", "left")
    # The general class of transformers 4 gives token_type_ids too, which generate refuses.
    config.setdefault("model_input_names", ["input_ids", "attention_mask"])
    config["tokenizer_class"] = TOKENIZER_CLASS
    if _may_be_forced(stock):
        config["auto_map"] = {"AutoTokenizer": [None, f"{Path(_CODE_FILE).stem}.HypertokTokenizer"]}
    if "fix_mistral_regex" in config:  # it replaces the pre-tokenizer; a saved tokenizer has the right one
        config["fix_mistral_regex"] = False
    if templates := listed_templates(stock.folder):
        config["chat_template"] = templates
    return config


def _class_of(stock: Stock) -> str:
    """The name of the class that transformers loads the stock tokenizer with, "" if it is not known here."""
    named = stock.config.get("tokenizer_class") or stock.model_config.get("tokenizer_class")
    return str(named or _CLASS_OF_TYPE.get(str(stock.model_config.get("model_type")), "")).removesuffix("Fast")


def _pads_left(stock: Stock) -> bool:
    """Whether the class that transformers 5 loads the stock tokenizer with puts padding before a text by default."""
    name = _class_of(stock)
    is_llama = name == "LlamaTokenizer" and stock.family is not Family.BYTE_LEVEL  # of those it takes the general class
    return name == "GemmaTokenizer" or (is_llama and stock.model_config.get("model_type") not in _NOT_LLAMA)


def other_templates(folder: Path) -> list[Path]:
    """Chat templates besides the default one, as transformers 5 saves them: a folder of files."""
    found = own_files(folder / "additional_chat_templates", "*.jinja")
    return [path for path in found if is_own(path, folder)]


def listed_templates(folder: Path) -> list[dict[str, str]]:
    """The same and the default one, as tokenizer_config.json lists them; [] where there are no others."""
    named = {path.stem: path.read_text(encoding="utf-8") for path in other_templates(folder)}
    default = folder / "chat_template.jinja"
    if named and is_own(default, folder):
        named["default"] = default.read_text(encoding="utf-8")
    return [{"name": name, "template": text} for name, text in sorted(named.items())]


def _may_be_forced(stock: Stock) -> bool:
    """Whether a config.json beside the tokenizer may name a model type of FORCED_MODEL_TYPES."""
    model_type = stock.model_config.get("model_type")
    if model_type is not None:
        inner = text_config_of(stock.model_config).get("model_type")
        return model_type in FORCED_MODEL_TYPES or inner in FORCED_MODEL_TYPES
    return stock.family is Family.BYTE_LEVEL  # of the types above; the class says little: DeepSeek's Qwen names Llama's


def check_tokens(stock: Stock) -> None:
    """Tokens that only the files beside the tokenizer name get the next free id on loading, another one than before.

    Raises:
        InputError: there is such a token.
    """
    found = [("tokenizer_config.json", *named) for named in _named_tokens(stock.config)]
    if "added_tokens_decoder" not in stock.config:  # beside it transformers passes over the other files
        special, added = (read_side_file(stock.folder / name) for name in (_SPECIAL_TOKENS, _ADDED_TOKENS))
        found += [(_SPECIAL_TOKENS, *named) for named in _named_tokens(special)]
        found += [(_ADDED_TOKENS, str(number), token) for token, number in added.items()]
    for name, key, token in found:
        if token not in stock.vocabulary:
            raise InputError(
                f"{stock.folder / name}: {key} is {token!r}, which {stock.path.name} does not have; load and save the "
                "stock tokenizer with transformers first, which adds it, or remove it"
            )


def _named_tokens(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, token) for every token that the configuration names."""
    for key, value in config.items():
        if key.endswith("_token") and not key.startswith("add_"):
            values = [value]
        elif key in ("additional_special_tokens", "extra_special_tokens", "added_tokens_decoder"):
            values = list(value.values()) if isinstance(value, Mapping) else list(value or ())
        else:
            continue
        for one in values:
            token = one.get("content") if isinstance(one, Mapping) else one
            if isinstance(token, str):
                yield key, token
