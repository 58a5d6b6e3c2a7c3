#!/bin/sh
# Proves the wheel: built, installed alone in an empty environment, it finds its shipped data and works.
set -eu
PYTHON=${PYTHON:-python3}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
ROOT=$(pwd)

"$PYTHON" -m venv "$WORK/venv"
"$WORK/venv/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$WORK/dist" .
"$WORK/venv/bin/python" -m pip install --quiet --no-compile -c constraints.txt "$WORK"/dist/*.whl
cd "$WORK" # away from the checkout, so that only the installed package can be found
"$WORK/venv/bin/hypertok" build-lexicon "$ROOT/examples/vault" -o "$WORK/notes.lexicon"
"$WORK/venv/bin/hypertok" lexicon explain "$WORK/notes.lexicon" печени
NOTE="$ROOT/examples/vault/Медицина/Цикл Кребса.md"
"$WORK/venv/bin/hypertok" encode "$WORK/notes.lexicon" "$NOTE" -o "$WORK/note.sym"
"$WORK/venv/bin/hypertok" decode "$WORK/notes.lexicon" "$WORK/note.sym" -o "$WORK/note.md"
cmp "$WORK/note.md" "$NOTE"
"$WORK/venv/bin/python" - <<'PY'
import pathlib
import hypertok
from hypertok.data import data_file

where = pathlib.Path(hypertok.__file__)
assert "site-packages" in where.parts, where
assert data_file("hypersymbols.tsv").is_relative_to(where.parent), data_file("hypersymbols.tsv")
assert (where.parent / "py.typed").is_file()
print("wheel: shipped lexicon data found in", data_file("hypersymbols.tsv").relative_to(where.parents[1]))
PY
