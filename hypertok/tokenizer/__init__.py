"""Surgery on a tokenizer: load it, extend it, prove it, export it."""
