"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest
from conftest import REPOSITORY

MODULES = [
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((REPOSITORY / "hypertok").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed
