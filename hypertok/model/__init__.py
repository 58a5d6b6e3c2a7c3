"""Rows of a model: read them from its checkpoint, extend them, initialise new ones, write them back."""
