"""The lexicon data that hypertok ships, wherever it is installed: in the wheel or in a source checkout."""

from __future__ import annotations

from pathlib import Path

from hypertok.errors import HypertokError, InputError


def data_file(name: str) -> Path:
    """Path of a file of `lexicon/ru`.

    Raises:
        HypertokError: the installation is incomplete.
    """
    package = Path(__file__).parent
    for folder in (package / "data" / "ru", package.parent / "lexicon" / "ru"):
        if (folder / name).is_file():
            return folder / name
    raise HypertokError(
        f"the shipped data file {name} is missing; reinstall with: pip install --force-reinstall --no-deps . (in a "
        "checkout of hypertok)"
    )


def read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Rows of a tab-separated file with a header, as (line number, column -> value).

    Empty lines and lines starting with # are left out; trailing columns may be missing and read as ''.

    Raises:
        InputError: no readable UTF-8 file, or the header or a row does not have these columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError as error:
        place = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{place}: not UTF-8 ({error.reason}); save the file as UTF-8") from None
    rows = []
    header = None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        values = [value.strip() for value in line.split("\t")]
        if header is None:
            header = tuple(values)
            if header != columns:
                raise InputError(
                    f"{path}:{number}: expected the header {' '.join(columns)} (tab-separated), got {line!r}"
                )
            continue
        if len(values) > len(columns):
            raise InputError(f"{path}:{number}: expected at most {len(columns)} columns, got {len(values)}: {line!r}")
        rows.append((number, dict(zip(columns, values + [""] * (len(columns) - len(values)), strict=True))))
    return rows
