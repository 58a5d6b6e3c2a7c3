"""hypertok: one token per concept for Russian text."""

__version__ = "0.1.0"
