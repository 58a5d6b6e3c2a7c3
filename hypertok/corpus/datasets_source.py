"""Hugging Face datasets: folders written by `save_to_disk`, and hub datasets named by the user.

Both are read through the package `datasets`, an extra. Nothing is ever fetched unless the corpus is named
`hf://owner/name[/configuration][:split]`; code that comes with a dataset is never run.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hypertok.corpus.fields import record_documents, text_field, text_of, text_of_cells
from hypertok.corpus.parquet_source import row_range
from hypertok.corpus.records import Part, Piece, Tally
from hypertok.errors import InputError, first_line, install

# One slash is enough: pathlib swallows the second.
_HUB = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(?:/(?P<config>[\w.-]+))?(?::(?P<split>[\w.-]+))?")
_INFO, _STATE, _DICT = "dataset_info.json", "state.json", "dataset_dict.json"
_BATCH = 256
#: Types of columns that hold strings and do not say so in their `dtype`.
_TEXT_TYPES = ("Json", "Translation", "TranslationVariableLanguages")
_MISSING = f"needs the package datasets: {install('datasets')}"


def hub_name(root: Path | str) -> str:
    """The canonical `hf://owner/name[/configuration]:split` when `root` names a hub dataset, else ''.

    Raises InputError when it begins like one but is not.

    >>> hub_name("hf://owner/name")
    'hf://owner/name:train'
    """
    text = str(root).replace("\\", "/")
    if not text.startswith("hf:/"):
        return ""
    match = _HUB.fullmatch(text)
    if match is None:
        raise InputError(f"{text}: expected hf://owner/name, hf://owner/name:split or hf://owner/name/config:split")
    config = f"/{match['config']}" if match["config"] else ""
    return f"hf://{match['name']}{config}:{match['split'] or 'train'}"


def is_saved_dataset(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names was written by `Dataset.save_to_disk`."""
    return {_INFO, _STATE} <= set(names)


def is_bookkeeping(name: str) -> bool:
    """Whether a file only lists the splits of a `DatasetDict`, whose splits are folders of their own."""
    return name == _DICT


def bytes_of(folder: Path) -> int:
    """Bytes of the Arrow files of a saved dataset."""
    return sum(file.stat().st_size for file in folder.glob("*.arrow") if file.exists())  # a link may lead nowhere


def read_dataset(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of the part's share of a saved dataset's rows."""
    try:
        import datasets
    except ImportError:
        tally.skip(_MISSING)
        return
    try:
        dataset = _texts_of(datasets.load_from_disk(str(path), keep_in_memory=False), tally)
        if dataset is None:
            return
        start, stop = row_range(len(dataset), part)
        features, table = _undecoded(dataset.features), dataset.with_format("arrow")
        batches = (table[first : min(first + _BATCH, stop)] for first in range(start, stop, _BATCH))
        rows = (features.decode_example(row) for batch in batches for row in batch.to_pylist())
        yield from _documents(rows, tally, join=join)
    except Exception as error:  # damaged JSON, Arrow and feature types each raise their own kind
        reason = f"not a dataset that can be read: {_first_line(error)}"
        if tally.documents:
            tally.lose(f"{reason}; read up to there")
        else:
            tally.skip(reason)


def read_hub(path: Path, part: Part, tally: Tally, *, join: bool = True) -> Iterator[Piece]:
    """Pieces of documents made of a hub dataset, streamed.

    Raises:
        InputError: the stream broke off. Unlike a damaged file, the rest is there, and would come with the next start.
    """
    try:
        import datasets
    except ImportError:
        tally.skip(_MISSING)
        return
    match = _HUB.fullmatch(hub_name(part.path))
    if match is None:
        raise InputError(f"{part.path}: not the name of a hub dataset")
    try:
        streamed = datasets.load_dataset(match["name"], match["config"], split=match["split"], streaming=True)
        if streamed.features is not None:
            features = _undecoded(streamed.features)
            # Newer releases have told threads to decode.
            streamed = (streamed.decode(False) if hasattr(streamed, "decode") else streamed).cast(features)
        rows = _texts_of(streamed, tally)
        if rows is None:
            return
        yield from _documents(rows, tally, join=join)
    except Exception as error:  # the network, the hub and every file format behind it raise their own kinds
        if tally.documents:
            raise InputError(
                f"{part.path}: broke off midway ({_first_line(error)}); start again, or fetch it first "
                "(datasets.load_dataset(...).save_to_disk(FOLDER)) and name the folder"
            ) from error
        tally.skip(f"hub dataset: {_first_line(error)}")


def _texts_of(dataset: Any, tally: Tally) -> Any:
    """The columns of a dataset that hold text, None if there are none; all where a stream does not tell types."""
    if dataset.features is None:
        return dataset
    columns = [name for name, feature in dataset.features.items() if _has_text(feature)]
    if not columns:
        tally.skip("no column of text")
        return None
    column = text_field(columns)
    return dataset.select_columns([column] if column else columns)


def _undecoded(feature: Any) -> Any:
    """A type of columns in which sound, pictures and the like are None, wherever in it they are.

    Decoding takes packages that text needs not, and goes online where a path in the data is a URL.
    """
    if isinstance(feature, dict):
        return type(feature)({name: _undecoded(inner) for name, inner in feature.items()})
    if isinstance(feature, list):
        return [_undecoded(inner) for inner in feature]
    feature = copy.copy(feature)
    if hasattr(feature, "feature"):
        feature.feature = _undecoded(feature.feature)
    elif hasattr(feature, "decode") and type(feature).__name__ not in _TEXT_TYPES:
        feature.decode = True  # else they are given as they are stored, path and all
        feature.encode_example = feature.decode_example = _none  # rows of streams are encoded first
    return feature


def _none(*_values: Any, **_options: Any) -> None:
    """What is made of a sound or a picture."""


def _has_text(feature: Any) -> bool:
    """Whether a column of this type (a feature, in the words of the package) holds strings, nested ones too."""
    if isinstance(feature, Mapping):
        return any(map(_has_text, feature.values()))
    if isinstance(feature, list):
        return any(map(_has_text, feature))
    if hasattr(feature, "feature"):  # a list of these
        return _has_text(feature.feature)
    return "string" in str(getattr(feature, "dtype", "")) or type(feature).__name__ in _TEXT_TYPES


def _documents(rows: Iterable[Mapping[str, Any]], tally: Tally, *, join: bool) -> Iterator[Piece]:
    tally.encoding = "utf-8"
    digest = hashlib.sha256()
    size = 0

    def texts() -> Iterator[str]:
        nonlocal size
        for row in rows:
            text = text_of(row) if text_field(row) else text_of_cells(row.values())
            data = text.encode("utf-8", "replace")
            size += len(data)
            digest.update(data)
            yield text

    yield from record_documents(texts(), tally, join=join)
    tally.sha256 = digest.hexdigest()
    tally.bytes = tally.bytes or size


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
