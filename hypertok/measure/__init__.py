"""What a tokenizer or model does on text, in figures."""
