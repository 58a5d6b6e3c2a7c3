"""hypertok: one token per concept for Russian text.

>>> from hypertok import Lexicon
>>> lex = Lexicon.load("notes.lexicon")      # doctest: +SKIP
>>> lex.decode(lex.encode(text)) == text     # doctest: +SKIP
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hypertok.errors import ArtifactError, CodecError, HypertokError, InputError

if TYPE_CHECKING:
    from hypertok.lexicon.build import BuildResult, Recipe, build_lexicon
    from hypertok.lexicon.lexicon import Lexicon
    from hypertok.tokenizer.extend import Options, extend
    from hypertok.tokenizer.hyper import HyperTokenizer
    from hypertok.tokenizer.verify import verify

__version__ = "0.2.0"
__all__ = [
    "ArtifactError",
    "BuildResult",
    "CodecError",
    "HyperTokenizer",
    "HypertokError",
    "InputError",
    "Lexicon",
    "Options",
    "Recipe",
    "build_lexicon",
    "extend",
    "verify",
]

# Loaded on first use: polars and pymorphy3 take a third of a second that `import hypertok` need not spend.
_LAZY = {
    "BuildResult": "hypertok.lexicon.build",
    "Recipe": "hypertok.lexicon.build",
    "build_lexicon": "hypertok.lexicon.build",
    "Lexicon": "hypertok.lexicon.lexicon",
    "Options": "hypertok.tokenizer.extend",
    "extend": "hypertok.tokenizer.extend",
    "HyperTokenizer": "hypertok.tokenizer.hyper",
    "verify": "hypertok.tokenizer.verify",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'hypertok' has no attribute {name!r}")
