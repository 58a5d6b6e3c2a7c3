"""The proof of the other ways to load an extended tokenizer: transformers' AutoTokenizer, and HyperTokenizer.

AutoTokenizer must have the stock ids, special tokens and chat template; each loader must give the ids of the raw
tokenizer. Without transformers the settings are compared as they are written in the files.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypertok.tokenizer.folder import other_templates
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.stock import encoded
from hypertok.tokenizer.stock_file import read_side_file
from hypertok.tokenizer.verify_pair import Extension
from hypertok.tokenizer.verify_parts import flags, same_ids
from hypertok.tokenizer.verify_report import Line, Tally, short

#: A tokenizer is loaded without them, and a copy would need as much room as the model.
_WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
_TEMPLATE = "chat template and special tokens"
_SETTINGS = (
    "special_tokens_map", "all_special_tokens", "all_special_ids", "chat_template", "padding_side", "model_input_names",
)  # fmt: skip
_CHATS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("user", "Что такое цикл Кребса?"),),
    (("user", "Hi"), ("assistant", "Привет, мир!"), ("user", "2 + 2 = ?\n\n你好")),
    (("system", "Отвечай кратко."), ("user", "Кто ты?"), ("assistant", "Модель.")),
)


def auto_lines(pair: Extension, place: Path) -> Generator[Line, None, dict[str, Any]]:
    """What transformers makes of the folder, beside the config.json of the stock model if there is one.

    Args:
        pair: the two tokenizers.
        place: an empty folder for copies.

    Returns:
        The tokenizers that it loaded, by the names of how; none without transformers.
    """
    names = ("stock ids, AutoTokenizer", "stock ids, AutoTokenizer saved and loaded again")
    if find_spec("transformers") is None:
        for name in names:
            yield Line.untried(name, "ids", "transformers is not installed")
        yield _template_files(pair)
        return {}
    from transformers import AutoTokenizer
    from transformers.utils import logging

    def load(folder: Path) -> Any:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    verbosity = logging.get_verbosity()
    logging.set_verbosity(40)  # errors only
    try:
        ours, saved = place / "ours", place / "saved"
        # Without the modes: the folder may be one that nobody may write to.
        shutil.copytree(pair.folder, ours, ignore=shutil.ignore_patterns(*_WEIGHTS), copy_function=shutil.copyfile)
        ours.chmod(0o700)
        saved.mkdir()
        if pair.stock.model_config:
            for folder in (ours, saved):
                shutil.copyfile(pair.stock.folder / "config.json", folder / "config.json")
        loaders = {"AutoTokenizer": load(ours)}
        loaders["AutoTokenizer"].save_pretrained(saved)
        loaders["AutoTokenizer, saved and loaded again"] = load(saved)
        try:
            before = load(pair.stock.folder) if pair.stock.path.name == "tokenizer.json" else None
        except Exception:  # a class of its own, in code of the folder, which is not run
            before = None
    finally:
        logging.set_verbosity(verbosity)
    allowed = {id_: flags(token) for id_, token in before.added_tokens_decoder.items()} if before else None
    for name, loaded in zip(names, loaders.values(), strict=True):
        yield same_ids(pair, name, loaded.get_vocab(), loaded.added_tokens_decoder, allowed)
    yield _template_files(pair) if before is None else _templates(before, list(loaders.values()))
    return loaders


def _template_files(pair: Extension) -> Line:
    """Without transformers to ask: the settings and the template as they are written."""
    tally, config = Tally(_TEMPLATE, "settings"), read_side_file(pair.folder / "tokenizer_config.json")
    for key, value in pair.stock.config.items():
        if key == "chat_template" or key.endswith("_token"):
            tally.want(config.get(key) == value, f"{key} is {short(config.get(key))}")
    for name in ("chat_template.jinja", "special_tokens_map.json"):
        ours, theirs = pair.folder / name, pair.stock.folder / name
        listed = name == "chat_template.jinja" and bool(other_templates(pair.stock.folder))
        if theirs.is_file() and not listed:
            tally.want(ours.is_file() and ours.read_bytes() == theirs.read_bytes(), f"{name} is not the stock's")
    if not tally.checked:
        return Line.untried(tally.name, tally.unit, "the stock tokenizer names none")
    return tally.line("as written in the files; not rendered: transformers cannot load both")


def _templates(before: Any, loaded: Sequence[Any]) -> Line:
    tally = Tally(_TEMPLATE, "settings")
    rendered = 0
    for tokenizer in loaded:
        for name in _SETTINGS:
            found, expected = getattr(tokenizer, name), getattr(before, name)
            tally.want(found == expected, f"{name} is {short(found)}, not {short(expected)}")
        for text in ("", "Hi"):  # the tokens that stand around a text, which the class may decide
            found, expected = tokenizer(text)["input_ids"], before(text)["input_ids"]
            tally.want(found == expected, f"{text!r} becomes {short(found)}, not {short(expected)}")
        if find_spec("jinja2") is None or not before.chat_template:
            continue
        for chat in _CHATS:
            for prompt in (False, True):
                expected = _rendered(before, chat, prompt)
                tally.want(_rendered(tokenizer, chat, prompt) == expected, f"chat of {len(chat)} is rendered otherwise")
                rendered += 1
    if rendered:
        return tally.line(f"{rendered} chats rendered alike")
    why = "jinja2 is not installed" if before.chat_template else "the stock tokenizer has none"
    return tally.line(f"special tokens alike; no template rendered: {why}")


def _rendered(tokenizer: Any, chat: Iterable[tuple[str, str]], prompt: bool) -> str:
    messages = [{"role": role, "content": content} for role, content in chat]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt))
    except Exception as error:  # templates refuse chats (no system message) in exceptions of their own
        return f"{type(error).__name__}: {error}"


def auto_text_line(pair: Extension, loaders: Mapping[str, Any], texts: Sequence[str]) -> Line:
    """What transformers loaded (`auto_lines`) gives the ids of the raw tokenizer."""
    tally = Tally("AutoTokenizer = tokenizers", "texts")
    if not loaders:
        return Line.untried(tally.name, tally.unit, "transformers did not load it")
    expected = {special: encoded(pair.tokenizer, texts, special=special) for special in (False, True)}
    for loader, tokenizer in loaders.items():
        for special, ids in expected.items():
            options = {"padding": False, "truncation": False, "return_attention_mask": False, "verbose": False}
            found = tokenizer(list(texts), add_special_tokens=special, **options)["input_ids"]
            for text, one, two in zip(texts, found, ids, strict=True):
                tally.want(one == two, f"{loader}: {short(text)}", 0)
    tally.checked = len(texts)
    return tally.line("loaded, saved and loaded again; with special tokens around and without")


def hyper_text_line(pair: Extension, texts: Sequence[str]) -> Line:
    """HyperTokenizer gives the raw ids and their text; on symbol text it gives back the text it was given."""
    tally = Tally("HyperTokenizer = tokenizers", "texts")
    hyper = HyperTokenizer.from_pretrained(pair.folder)
    if pair.symbol_text:
        tally.name = "HyperTokenizer gives every text back"
        stock = pair.stock.tokenizer
        plain = stock.decode_batch(encoded(stock, texts, special=False), skip_special_tokens=False)
        kept = [text for text, back in zip(texts, plain, strict=True) if back == text]  # others are normalised
        for text, back in zip(kept, hyper.decode_batch(hyper.encode_batch(kept)), strict=True):
            tally.want(back == text, partial(short, text))
        return tally.line("of those that the stock tokenizer gives back")
    ids = encoded(pair.tokenizer, texts, special=False)
    spoken = pair.tokenizer.decode_batch(ids, skip_special_tokens=False)
    found = hyper.encode_batch(texts)
    backs = hyper.decode_batch(found)
    for text, one, two, back, expected in zip(texts, found, ids, backs, spoken, strict=True):
        # Its own decoder leaves out the spaces that the library's one puts after special tokens.
        tally.want(one == two and back in (text, expected), partial(short, text))
    return tally.line("ids and decoding")
