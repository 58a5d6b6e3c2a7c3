"""`build_lexicon`: from a folder of text to a lexicon, one step after the other."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

import hypertok
from hypertok.artifact import Manifest, refuse_foreign, seal, sha256_of, writing
from hypertok.corpus.counting import CountedCorpus, count_corpus
from hypertok.corpus.engines import EngineName
from hypertok.corpus.segments import CASES
from hypertok.corpus.sources import refuse_inside
from hypertok.data import data_file
from hypertok.errors import ArtifactError
from hypertok.lexicon.assemble import Tables, assemble
from hypertok.lexicon.from_base import refuse_other_symbols
from hypertok.lexicon.lexicon import KIND, Lexicon, lexicon_manifest
from hypertok.lexicon.overrides import read_overrides
from hypertok.lexicon.recipe import Progress, Recipe
from hypertok.lexicon.runs import run_table
from hypertok.lexicon.statistics import Changed, learning_statistics
from hypertok.progress import silent
from hypertok.replacing import alone, discard


class BuildResult(BaseModel):
    """What a build did: the manifest, and whether it was made now, the lexicon not being up to date already."""

    model_config = ConfigDict(frozen=True)

    manifest: Manifest
    fresh: bool


def build_lexicon(
    corpus: Path | str,
    output: Path | str,
    recipe: Recipe | None = None,
    *,
    overrides: Path | str | None = None,
    base: Path | str | None = None,
    engine: EngineName = "local",
    workers: int | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Build a lexicon from every text below `corpus` and write it to the folder `output`.

    A lexicon that stands at `output` already serves as `base` unless another is named: every concept keeps
    its symbol. Counting is resumable: finished work is kept beside the output until the lexicon is written.

    Args:
        corpus: a file, a folder, or `hf://owner/name`.
        output: folder to write.
        recipe: what decides the lexicon besides the texts.
        overrides: tab-separated file of concepts added, forbidden and merged, which go before the shipped ones.
        base: a lexicon whose symbols are kept.
        engine: processes of this machine, or Ray's.
        workers: how many of them; None for as many as there are processors.
        progress: told (step, done, of).

    Returns:
        The manifest, and whether it is new: what has been made from the same texts by the same recipe stays as it is.

    Raises:
        InputError: no such corpus, no Russian words, a faulty overrides file, an output inside the corpus, or Ray asked
            for and not installed.
        HypertokError: a worker was killed, for want of memory mostly.
        ArtifactError: `output` or the folder beside it for finished work is something else, `output` is a lexicon that
            cannot be read, or whose symbols would mean other concepts over `base`, `base` is damaged, or another
            process makes `output`.
    """
    recipe = recipe or Recipe()
    output = Path(output).resolve()
    overrides = Path(overrides) if overrides else None
    work = output.with_name(f"{output.name}.work").resolve()  # it may be a link to another disk
    refuse_inside(output, corpus)
    refuse_inside(work, corpus)
    refuse_foreign(output, KIND)
    own = read_overrides(data_file("overrides.tsv"))
    theirs = read_overrides(overrides) if overrides else None
    said = sha256_of(overrides) if overrides else None  # now: it may be edited while texts are counted
    tell = progress or silent
    with alone(output):
        old = Lexicon.load(base) if base else _standing(output)
        standing = _other_symbols(output, old) if base else None
        if standing is not None and old:  # now, and when all concepts are known
            refuse_other_symbols(output, standing, old.concepts)
        counted = count_corpus(
            corpus, work, like=output, engine=engine, workers=workers, progress=lambda d, t: tell("count", d, t)
        )
        parents = {"corpus": counted.fingerprint, "shipped_data": _shipped_data()}
        if said:
            parents["overrides"] = said
        if old and old.folder.resolve() == output and _same(old.manifest, parents, recipe):
            discard(work)
            return BuildResult(manifest=old.manifest, fresh=False)
        if old:
            parents["base"] = old.sha256
        overriding = own | theirs if theirs else own
        with writing(output, KIND) as folder, ExitStack() as stack:
            if recipe.statistics:
                learning = learning_statistics(
                    counted,
                    folder,
                    engine=engine,
                    workers=workers,
                    progress=lambda d, t: tell("statistics", d, t),
                )
                try:
                    wait = stack.enter_context(learning)
                except Changed:
                    discard(work)  # a data set of the hub does not tell when it was changed
                    raise
            tables = assemble(counted, recipe, overriding, old, workers=workers, progress=tell)
            if standing is not None:
                refuse_other_symbols(output, standing, tables.concepts)
            tell("write", 0, 1)
            _write(folder, tables, counted)
            if recipe.statistics:
                run_table(counted).write_parquet(folder / "runs.parquet", compression="zstd", statistics=False)
                wait()
            manifest = seal(
                folder,
                KIND,
                parents=parents,
                recipe=recipe.model_dump(),
                versions=_versions(),
                facts=_facts(tables, counted, old),
            )
        discard(work)
        tell("write", 1, 1)
        return BuildResult(manifest=manifest, fresh=True)


def _standing(output: Path) -> Lexicon | None:
    """The lexicon that stands at `output`, whose symbols are kept; None where there is none.

    Raises:
        ArtifactError: it is damaged, or written by another version of hypertok.
    """
    if not output.exists():
        return None
    try:
        return Lexicon.load(output)
    except ArtifactError as error:
        if lexicon_manifest(output).schema_version > KIND.schema_version:
            raise  # the remedy is to upgrade
        # The remedy given is to build it again, which is what fails here.
        reason = str(error).rpartition("; ")[0] or str(error)
        raise ArtifactError(
            f"{reason}; a lexicon is built anew with the symbols of the one that stands at {output}: restore that one "
            "from a copy, or move it away, and symbols are then given anew"
        ) from error


def _other_symbols(output: Path, base: Lexicon | None) -> pl.DataFrame | None:
    """Concepts of a lexicon that stands at `output` and is not the base; None where none is, or none can be read."""
    try:
        found = Lexicon.load(output)
    except ArtifactError:
        if output.exists() and lexicon_manifest(output).schema_version > KIND.schema_version:
            raise  # not damaged: whoever has the newer program goes on reading it
        return None
    return None if base is not None and found.sha256 == base.sha256 else found.concepts


def _same(old: Manifest, parents: dict[str, str], recipe: Recipe) -> bool:
    inputs = {role: sha for role, sha in old.parents.items() if role != "base"}
    return inputs == parents and old.recipe == recipe.model_dump() and old.versions == _versions()


def _write(folder: Path, tables: Tables, counted: CountedCorpus) -> None:
    for name, table in tables.named():
        table.write_parquet(folder / f"{name}.parquet", compression="zstd", statistics=False)
    columns = {name: [getattr(report, name) for report in counted.reports] for name in _SOURCES}
    sources = pl.DataFrame(columns, schema=_SOURCES)
    sources.sort("path").write_parquet(folder / "sources.parquet", compression="zstd", statistics=False)


def _facts(tables: Tables, counted: CountedCorpus, old: Lexicon | None) -> dict[str, object]:
    words = int(counted.vocabulary.select(pl.sum_horizontal(CASES).sum()).item())
    main = tables.forms.filter("main")
    attested = main.filter("attested")
    # Forms of concepts kept from a base are written, too, and never count as attested.
    written = (main if old else attested)["form"]
    covered = counted.vocabulary.filter(pl.col("form").is_in(written.implode()))
    covered_words = int(covered.select(pl.sum_horizontal(CASES).sum()).item())
    kinds = tables.concepts.group_by("kind").len().sort("kind")
    statuses = [report.status for report in counted.reports]
    return {
        "words": words,
        "distinct_forms": counted.vocabulary.height,
        "words_in_lexicon": covered_words,
        "concepts": tables.concepts.height,
        "concepts_by_kind": dict(kinds.iter_rows()),
        "forms": main.height,
        "forms_attested": attested.height,
        "sources": {status: statuses.count(status) for status in ("read", "repaired", "skipped")}
        | ({"without text": without} if (without := statuses.count("without text")) else {}),
        "sources_in_part": sum(report.partial for report in counted.reports),
        "lookalike_words": sum(report.lookalikes for report in counted.reports),
        "forms_pruned": counted.pruned,
        **({"kept_from_base": tables.kept} if old else {}),
    }


def _shipped_data() -> str:
    names = (
        "context.npz",
        "hypersymbols.tsv",
        "inflections.tsv",
        "overrides.tsv",
        "phrase_stopwords.tsv",
        "symbol_ranges.tsv",
    )
    return " ".join(sha256_of(data_file(name))[:16] for name in names)


def _versions() -> dict[str, str]:
    packages = ("pymorphy3", "pymorphy3-dicts-ru", "polars", "numpy")
    return {
        "hypertok": hypertok.__version__,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


_SOURCES: dict[str, pl.DataType | type[pl.DataType]] = {
    "path": pl.String, "format": pl.String, "encoding": pl.String, "bytes": pl.Int64, "characters": pl.Int64,
    "documents": pl.Int64, "status": pl.String, "reason": pl.String, "repaired": pl.String,
    "lookalikes": pl.Int64, "lookalike_examples": pl.List(pl.String), "sha256": pl.String,
}  # fmt: skip
