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
    from hypertok.measure.measured import Measured
    from hypertok.measure.model import measure_model
    from hypertok.measure.options import MeasureOptions
    from hypertok.model.extend import extend_model
    from hypertok.model.merge import merge
    from hypertok.tokenizer.extend import ExtendOptions, extend
    from hypertok.tokenizer.hyper import HyperTokenizer
    from hypertok.tokenizer.verify import verify
    from hypertok.training.options import LoraOptions, TrainOptions
    from hypertok.training.train import TrainResult, train
    from hypertok.vocabulary.units import TooFewRows

__version__ = "0.2.0"
__all__ = [
    "ArtifactError",
    "BuildResult",
    "CodecError",
    "Experiment",
    "ExtendOptions",
    "HyperTokenizer",
    "HypertokError",
    "InputError",
    "Lexicon",
    "LoraOptions",
    "MeasureOptions",
    "Measured",
    "Recipe",
    "TooFewRows",
    "TrainOptions",
    "TrainResult",
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
    "ExtendOptions": "hypertok.tokenizer.extend",
    "extend": "hypertok.tokenizer.extend",
    "HyperTokenizer": "hypertok.tokenizer.hyper",
    "verify": "hypertok.tokenizer.verify",
    "TooFewRows": "hypertok.vocabulary.units",
    "TrainOptions": "hypertok.training.options",
    "LoraOptions": "hypertok.training.options",
    "MeasureOptions": "hypertok.measure.options",
    "Measured": "hypertok.measure.measured",
    "measure_model": "hypertok.measure.model",
    "Experiment": "hypertok.experiment.run",
}
# These cannot be so much as imported without the extra `train`.
_MODELS = {
    "extend_model": "hypertok.model.extend",
    "train": "hypertok.training.train",
    "TrainResult": "hypertok.training.train",
    "merge": "hypertok.model.merge",
}


def __getattr__(name: str) -> Any:
    if name in _MODELS:
        from hypertok.model.extra import require_train

        require_train()
    elif name not in _LAZY:
        raise AttributeError(f"module 'hypertok' has no attribute {name!r}")
    return getattr(import_module((_LAZY | _MODELS)[name]), name)


def __dir__() -> list[str]:
    """What can be had here: `help` asks for each."""
    from hypertok.model.extra import missing_packages

    return sorted({*globals(), *_LAZY, *(() if missing_packages() else _MODELS)})
