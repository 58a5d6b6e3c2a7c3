"""llama.cpp itself (through xllamacpp), reading a GGUF file: for the tests and benchmarks of exports."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

#: Positions of the context: enough for what tests generate; cutting text into tokens needs none.
CONTEXT = 128


class Llama:
    """A GGUF model in llama.cpp's own server, inside this process and on the loopback interface; a context manager."""

    def __init__(self, path: Path | str) -> None:
        """Load the model, which checks the shapes of all its tensors.

        Raises:
            RuntimeError: llama.cpp cannot load the file.
        """
        from xllamacpp import CommonParams, Server

        wanted = CommonParams()
        wanted.model.path = str(path)
        wanted.port = 0  # any that is free
        wanted.n_ctx, wanted.n_parallel = CONTEXT, 1
        wanted.warmup = wanted.fit_params = False
        wanted.verbosity = 0
        self._server = Server(wanted)

    def __enter__(self) -> Llama:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del self._server  # it stops with its last reference

    def _asked(self, path: str, **given: Any) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path, json.dumps(given).encode(), {"Content-Type": "application/json"}
        )
        local = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of this process
        with local.open(request) as answer:
            return json.load(answer)

    def tokenize(self, text: str, *, special: bool = True) -> list[int]:
        """Ids of the text without those that are put around it; `special`: the text may name special tokens."""
        return list(self._asked("/tokenize", content=text, add_special=False, parse_special=special)["tokens"])

    def detokenize(self, ids: list[int]) -> str:
        """The text of the ids."""
        return str(self._asked("/detokenize", tokens=ids)["content"])

    def generate(self, ids: list[int], count: int) -> list[int]:
        """The `count` likeliest ids after these, one after the other; fewer where the model ends the text."""
        asked = {"n_predict": count, "temperature": 0, "return_tokens": True, "cache_prompt": False}
        return list(self._asked("/completion", prompt=ids, **asked)["tokens"])

    def next_likelihoods(self, ids: list[int], count: int) -> dict[int, float]:
        """Natural logarithms of the probabilities of the `count` likeliest ids after these."""
        # Of an id that ends the text it would tell nothing.
        asked = {"n_predict": 1, "n_probs": count, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        (place,) = self._asked("/completion", prompt=ids, **asked)["completion_probabilities"]
        return {one["id"]: one["logprob"] for one in place["top_logprobs"]}
