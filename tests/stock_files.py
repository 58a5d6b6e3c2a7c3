"""Small tokenizer files and sample texts for the tests of stock tokenizers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import VAULT
from hypothesis import strategies as st

from hypertok.errors import InputError
from hypertok.tokenizer.stock import Stock

MISTRAL = Path(str(importlib.util.find_spec("mistral_common").submodule_search_locations[0])) / "data"  # type: ignore[union-attr, index]
RUSSIAN = "Цикл Кребса происходит в митохондриях.  О нём, «как водится», говорят ещё в 9-м классе…\n\n\tЁлка, ёж!"
SAMPLES = (
    RUSSIAN,
    "The quick brown fox doesn't jump over 1234567 dogs — it's tired.",
    "def f(x: int) -> str:\n    return {'a': x}['a']  # комментарий\n\n\nif __name__ == '__main__':\r\n\tf(1)",
    "😀 👩‍👩‍👧 🇷🇺 é e\u0301 ñ 中文字符 العربية हिन्दी",
    "",
    " ",
    "\n",
    " " * 37 + "x" + " " * 19,
    " митохондрия",
    *(path.read_text(encoding="utf-8") for path in sorted(VAULT.rglob("*.md"))[:8]),
)
TEXT = st.text(
    st.sampled_from("абвемностиЁАБ  \n\t.,a1é😀中▁’'\u00ad\u0301e<>[]") | st.characters(exclude_categories=["Cs"])
)


def ids(stock: Stock, text: str) -> list[int]:
    """Ids of a text at its beginning, nothing put around."""
    return list(stock.tokenizer.encode(text, add_special_tokens=False).ids)


def tiny_data(**model: Any) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE in the manner of GPT-2."""
    settled = {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4}, "merges": ["a b", "Ġ ab"]}
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": settled | model,
    }


def written(folder: Path, data: Any, name: str = "tokenizer.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return folder


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        Stock.load(path)
    for word in (path.name, *words):
        assert word in str(caught.value)
