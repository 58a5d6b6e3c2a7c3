"""Which units become tokens of a given stock tokenizer."""
