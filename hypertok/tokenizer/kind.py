"""What the folder of an extended tokenizer is, as an artefact."""

from __future__ import annotations

KIND = "tokenizer"
SCHEMA_VERSION = 1
#: The command that makes one, named in remedies.
COMMAND = "hypertok extend STOCK notes.lexicon -o OUTPUT"
DELTA = "delta.parquet"
#: The table of the stock tokens whose rows were given to units.
GIVEN_UP = "given_up.parquet"
#: The symbols that the codec of a tokenizer for symbol text writes.
SYMBOLS = "symbols.parquet"
#: Rows of a model are padded to a multiple of this, which matrix products on a GPU like.
ROW_MULTIPLE = 64
