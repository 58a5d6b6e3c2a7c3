"""What the folder of an extended tokenizer is, as an artefact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypertok.artifact import Kind, Manifest
from hypertok.errors import ArtifactError, first_line

if TYPE_CHECKING:
    import polars as pl

#: How the names of files begin that tell people of a model.
ABOUT = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "README", "USE_POLICY")
KIND = Kind(
    "tokenizer",
    1,
    "hypertok extend STOCK notes.lexicon -o OUTPUT",
    {
        "adapter": "it was trained, and lacks its model: put both together with: hypertok merge {folder} -o OUTPUT",
        "model": "a stock model with an adapter merged, so it has no units of hypertok",
    },
    (*ABOUT, "generation_config.json"),
)
#: The command that makes one with a model in it.
EXTEND_MODEL = "hypertok extend MODEL_DIR notes.lexicon -o OUTPUT"
DELTA = "delta.parquet"
#: The table of the stock tokens whose rows were given to units.
GIVEN_UP = "given_up.parquet"
#: The symbols that the codec of a tokenizer for symbol text writes.
SYMBOLS = "symbols.parquet"
#: Rows of a model are padded to a multiple of this, which matrix products on a GPU like.
ROW_MULTIPLE = 64


def padded(rows: int) -> int:
    """The number of rows that a model with so many gets."""
    return -(-rows // ROW_MULTIPLE) * ROW_MULTIPLE


def read_table(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """A table of an extended tokenizer's folder, which may have any name: polars opens no path that is not UTF-8."""
    import polars as pl

    return pl.read_parquet(path.read_bytes(), columns=columns)


def symbol_text(recipe: Mapping[str, Any]) -> bool:
    """Whether the recipe says that the units are of symbol text, which the codec writes."""
    return bool(recipe.get("text") == "symbols")


def only_read(recipe: Mapping[str, Any]) -> bool:
    """Whether the recipe of a model's folder says that its units were trained to be read only."""
    return bool(recipe.get("train", {}).get("reading"))


def delta_ids(folder: Path) -> frozenset[int]:
    """Ids that an extension gave to its units; none where there is no delta.

    Raises:
        ArtifactError: the delta is damaged.
    """
    import polars as pl

    path = folder / DELTA
    try:
        return frozenset(read_table(path, ["id"])["id"].to_list()) if path.is_file() else frozenset()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ArtifactError(
            f"{path}: cannot be read ({first_line(error)}); make it again with: {KIND.command}"
        ) from None


def refuse_other_lexicon(folder: Path, manifest: Manifest, lexicon: Path) -> None:
    """See that `lexicon` is the one that the extended tokenizer in `folder` was made from.

    Raises:
        ArtifactError: it is another one, or damaged.
    """
    from hypertok.lexicon.lexicon import checked_manifest, lexicon_manifest

    found, then = lexicon_manifest(lexicon).sha256, manifest.parents.get("lexicon", "")
    if found != then:
        raise ArtifactError(
            f"{folder}: made with another lexicon than {lexicon} (sha256 {then[:12]}… then, {found[:12]}… here); name "
            f"that one, or make the tokenizer again with: {KIND.command}"
        )
    checked_manifest(lexicon)
