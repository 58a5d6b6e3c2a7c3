"""Do exported tokenizers give the ids of the tokenizer that they were exported from? As a Markdown table.

The exports are read by the programs they are for: tiktoken, sentencepiece, llama.cpp (through xllamacpp).

    python benchmarks/exports.py extended/qwen3 extended/gemma3 --texts held-out/ --gguf gemma3=gemma.gguf
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from llama import Llama
from measure import facts
from tokenizers import Tokenizer

from hypertok.corpus.documents import read_documents
from hypertok.tokenizer.export_gguf import export_gguf
from hypertok.tokenizer.export_sentencepiece import export_sentencepiece
from hypertok.tokenizer.export_tiktoken import export_tiktoken, load_tiktoken
from hypertok.tokenizer.stock import Family, Stock

Encode = Callable[[str], list[int]]


def tiktoken_ids(folder: Path, place: Path) -> Encode:
    encoding = load_tiktoken(export_tiktoken(folder, place / "out.tiktoken"))
    return lambda text: encoding.encode(text, disallowed_special=())


def sentencepiece_ids(folder: Path, place: Path) -> Encode:
    from sentencepiece import SentencePieceProcessor

    export_sentencepiece(folder, place / "out.model")
    processor = SentencePieceProcessor(model_file=str(place / "out.model"))
    return lambda text: list(processor.encode(text))


def gguf_ids(folder: Path, place: Path, stock: Path) -> Encode:
    export_gguf(folder, stock, place / "out.gguf")
    model = Llama(place / "out.gguf")
    return lambda text: model.tokenize(text, special=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="extended tokenizers")
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument(
        "--characters", type=int, default=20_000, help="of each document: llama.cpp takes minutes for a whole book"
    )
    parser.add_argument("--gguf", nargs="*", default=[], metavar="NAME=FILE", help="stock GGUF of a folder's model")
    wanted = parser.parse_args()
    stocks = dict(one.split("=", 1) for one in wanted.gguf)
    if unknown := stocks.keys() - {folder.name for folder in wanted.folders}:
        parser.error(f"--gguf {', '.join(sorted(unknown))}: no folder is named so")
    texts = [one.text[: wanted.characters] for one in read_documents(wanted.texts)]
    print(f"{facts('tokenizers', 'tiktoken', 'sentencepiece', 'xllamacpp')}\n")
    print("| tokenizer | format | documents identical | tokens, relative to ours |\n|---|---|---|---|", flush=True)
    for folder in wanted.folders:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        expected = [one.ids for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        family = Stock.load(folder).family
        ways: dict[str, Callable[[Path, Path], Encode]] = (
            {"tiktoken": tiktoken_ids} if family is Family.BYTE_LEVEL else {"sentencepiece": sentencepiece_ids}
        )
        if folder.name in stocks:
            ways["GGUF"] = lambda one, place, stock=Path(stocks[folder.name]): gguf_ids(one, place, stock)  # type: ignore[misc]
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as place:
                encode = way(folder, Path(place))
                found = [encode(text) for text in texts]
            same = sum(one == two for one, two in zip(found, expected, strict=True))
            ratio = sum(map(len, found)) / sum(map(len, expected))
            print(f"| {folder.name} | {name} | {same:,} of {len(texts):,} | {ratio:.5f} |", flush=True)


if __name__ == "__main__":
    main()
