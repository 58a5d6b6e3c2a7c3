"""Experiments: definitions in TOML, arms, runs, results and their report."""
