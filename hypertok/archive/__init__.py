"""Archives: text kept small through the lexicon's statistics and an entropy coder."""
