"""Bits per character of a model folder and of GGUF files made of it, which hold rounded numbers. As a Markdown table.

    python benchmarks/gguf_bits.py model-notes-merged model-notes.gguf --text held-out/

The numbers are those of the file, the arithmetic is float32 in torch: what is measured is the rounding of weights, not
that of the numbers between the layers, which llama.cpp adds.
"""

from __future__ import annotations

import argparse
from itertools import chain
from pathlib import Path

from measure import MIB, facts

from hypertok.corpus.documents import read_documents
from hypertok.measure.bootstrap import paired_ratio
from hypertok.measure.coding import Coding, load_coding
from hypertok.measure.quality import Quality, measure_quality
from hypertok.measure.subject import Subject, load_subject, without_bars


def subject_of(gguf: Path, coding: Coding) -> Subject:
    """The model of a GGUF file, dequantised to float32."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    # Else numbers stay packed where there are kernels for them, whose arithmetic is another.
    whole = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=whole
    )
    return Subject(model.eval(), coding)


def quality_of(subject: Subject, texts: list[str]) -> Quality:
    return measure_quality(subject.model, subject.coding.encode, texts, start=subject.coding.start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a model folder of transformers")
    parser.add_argument("files", nargs="*", type=Path, help="GGUF files of the same model")
    parser.add_argument("--text", type=Path, required=True, help="held-out documents")
    parser.add_argument("--characters", type=int, default=1_000, help="of each document")
    wanted = parser.parse_args()
    without_bars()
    texts = [one.text[: wanted.characters] for one in read_documents(wanted.text)]
    coding = load_coding(wanted.folder)
    print(f"{facts('torch', 'transformers', 'gguf')}; {len(texts):,} documents, {sum(map(len, texts)):,} characters\n")
    print("| numbers of | MiB | bits per character | against the folder |\n|---|---|---|---|", flush=True)
    subjects = chain(
        [load_subject(wanted.folder, device="cpu", dtype="float32")], (subject_of(one, coding) for one in wanted.files)
    )
    base: Quality | None = None
    for path, subject in zip([wanted.folder, *wanted.files], subjects, strict=True):
        found = quality_of(subject, texts)
        base = base or found
        times = paired_ratio(found.sums, base.sums)
        more, low, high = (f"{one - 1:+.2%}" for one in (times.value, times.low, times.high))
        size = sum(one.stat().st_size for one in (path.glob("*.safetensors") if path.is_dir() else [path])) / MIB
        print(f"| {path.name} | {size:,.0f} | {found.bits_per_character:.4f} | {more} [{low}, {high}] |", flush=True)


if __name__ == "__main__":
    main()
