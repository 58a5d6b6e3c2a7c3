#!/bin/sh
# Prints the tables of lexicon, codec, lemma, phrases and archive, and the memory of counting (memory.py). The other
# benchmarks name their commands in their first lines. Run it on a machine that does nothing else. HYPERTOK_SHARED
# names the corpora.
set -eu
BIN=${BIN:-.venv/bin}
SHARED=${HYPERTOK_SHARED:-../shared}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
"$BIN/python" benchmarks/lexicon.py
"$BIN/hypertok" build-lexicon "$SHARED/data/corpora" -o "$WORK/all.lexicon"
"$BIN/python" benchmarks/codec.py "$WORK/all.lexicon" "$SHARED/data/corpora/ruslit" "$SHARED/data/corpora/doka" \
  "$SHARED/data/corpora/debian_docs_ru" --megabytes 12 --rounds 3
"$BIN/python" benchmarks/codec_fuzz.py "$WORK/all.lexicon"
"$BIN/python" benchmarks/lemma.py
"$BIN/python" benchmarks/phrases.py
"$BIN/python" benchmarks/archive.py
"$BIN/python" benchmarks/memory.py
