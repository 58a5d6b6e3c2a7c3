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
    from hypertok.experiment.run import Experiment
    from hypertok.lexicon.build import BuildResult, build_lexicon
    from hypertok.lexicon.lexicon import Lexicon
    from hypertok.lexicon.recipe import Recipe
    from hypertok.measure.model import measure_model
    from hypertok.model.extend import extend_model
    from hypertok.model.merge import merge
    from hypertok.tokenizer.extend import Options, extend
    from hypertok.tokenizer.hyper import HyperTokenizer
    from hypertok.tokenizer.verify import verify
    from hypertok.training.train import train

__version__ = "0.2.0"
__all__ = [
    "ArtifactError",
    "BuildResult",
    "CodecError",
    "Experiment",
    "HyperTokenizer",
    "HypertokError",
    "InputError",
    "Lexicon",
    "Options",
    "Recipe",
    "build_lexicon",
    "extend",
    "extend_model",
    "measure_model",
    "merge",
    "train",
    "verify",
]

# Loaded on first use: polars and pymorphy3 take a third of a second that `import hypertok` need not spend.
_LAZY = {
    "BuildResult": "hypertok.lexicon.build",
    "build_lexicon": "hypertok.lexicon.build",
    "Lexicon": "hypertok.lexicon.lexicon",
    "Recipe": "hypertok.lexicon.recipe",
    "Options": "hypertok.tokenizer.extend",
    "extend": "hypertok.tokenizer.extend",
    "HyperTokenizer": "hypertok.tokenizer.hyper",
    "verify": "hypertok.tokenizer.verify",
    # These need the extra `train`.
    "extend_model": "hypertok.model.extend",
    "train": "hypertok.training.train",
    "merge": "hypertok.model.merge",
    "measure_model": "hypertok.measure.model",
    "Experiment": "hypertok.experiment.run",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'hypertok' has no attribute {name!r}")
