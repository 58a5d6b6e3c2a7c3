"""Export of a byte-level tokenizer to tiktoken: a file of ranks and a small JSON that says how to use it.

tiktoken merges any two neighbours whose bytes together have a rank, lowest rank first, and its rank is the id.
`tokenizers` merges the pairs of its list, in the list's order. The ids are identical by construction when

1. the tokens that the merges make come in the order of their ids, and
2. whenever two tokens make a third, that pair is a merge.

The second is more than needed: a pair that is no merge changes nothing unless its two tokens come to stand side by
side. Where they do, tiktoken gives one token and `tokenizers` two; the token may be a stock one (Llama 3.1 has
" руковод" and, with a new unit "уковод", no merge of " р" and "уковод"). Merges that make all such pairs cost no rows
and take the difference away. `export_common.MergeAgreement` counts both. Measured on 227 validation documents with
1,000 units and none of these merges added: Qwen3 and GPT-4o identical in all, Llama 3.1 in 158 (99.91 % of the tokens);
with them 227.

What tiktoken has no place for: a normaliser (NFC of Qwen: the JSON names it; normalise first), tokens put around the
text (BOS), flags of added tokens (lstrip, single_word). All added tokens become special tokens, so compare with
`encode(text, allowed_special="all")`. Entries that nothing can produce (placeholders) are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypertok.errors import ArtifactError, InputError, install
from hypertok.single_file import write_file
from hypertok.tokenizer.pretokenizer import GPT2_PATTERN
from hypertok.tokenizer.stock import Family, Stock
from hypertok.tokenizer.tokenizer_json import BYTE_CHARACTERS

if TYPE_CHECKING:
    import tiktoken

FORMAT = "hypertok-tiktoken-1"
CONSTRUCT = (
    "tiktoken.Encoding(name, pat_str=pat_str, special_tokens=special_tokens, mergeable_ranks={bytes: rank for each "
    "line 'base64(bytes) rank' of the file named in ranks})"
)


def export_tiktoken(folder: Path | str, output: Path | str) -> Path:
    """Write `output` (lines of base64 bytes and rank) and a JSON of the same name beside it.

    Args:
        folder: the extended tokenizer (or any folder with a byte-level tokenizer.json).
        output: the file of ranks, usually `*.tiktoken`.

    Returns:
        The path of the JSON, which `load_tiktoken` takes.

    Raises:
        InputError: tiktoken is missing, or the tokenizer cannot be expressed in it.
    """
    tokenizer, output = Stock.load(folder), Path(output)
    if tokenizer.family is not Family.BYTE_LEVEL:
        raise InputError(
            f"{tokenizer.path}: tiktoken knows only byte-level tokenizers, this one is SentencePiece-style; "
            "export it with: --to sentencepiece"
        )
    if output.suffix == ".json":
        raise InputError(f"{output}: the JSON is written beside the ranks; name the ranks, as {output.stem}.tiktoken")
    description = description_of(output)
    _refuse_foreign(description)
    special = {token["content"]: token["id"] for token in tokenizer.added}
    ranks = _ranks(tokenizer)
    lines = b"".join(b"%s %d\n" % (base64.b64encode(piece), rank) for piece, rank in ranks.items())
    described = {
        "format": FORMAT,
        "name": description.stem,
        "ranks": output.name,
        "ranks_sha256": hashlib.sha256(lines).hexdigest(),
        "pat_str": _pattern(tokenizer),
        "special_tokens": special,
        "normalizer": _normalizer(tokenizer),
        "left_out": len(tokenizer.vocabulary) - len(ranks) - len(special),
        "construct": CONSTRUCT,
    }
    _encoding(described, ranks, tokenizer.path)  # tiktoken's own check of the pattern, before anything is written
    write_file(output, lines)
    write_file(description, (json.dumps(described, ensure_ascii=False, indent=1) + "\n").encode())
    return description


def description_of(path: Path) -> Path:
    """The JSON beside a file of ranks, which may be named as a model is: llama-3.1."""
    if path.suffix in (".tiktoken", ".json"):
        return path.with_suffix(".json")
    return path.with_name(f"{path.name}.json")


def _refuse_foreign(description: Path) -> None:
    """The name of this file is not the one that was asked for, so something else may well stand there."""
    try:
        ours = json.loads(description.read_bytes())["format"] == FORMAT
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError, KeyError):
        ours = False
    if not ours:
        raise InputError(f"{description}: is no export of ours, and would be replaced; name another output")


def load_tiktoken(path: Path | str) -> tiktoken.Encoding:
    """The encoding that `export_tiktoken` wrote; `path` is its JSON or its file of ranks.

    Raises:
        InputError: tiktoken is missing.
        ArtifactError: the files are not there, damaged or not of one export.
    """
    path = description_of(Path(path))
    again = "export it again with: hypertok export FOLDER --to tiktoken"
    try:
        described = json.loads(path.read_bytes())
        if described["format"] != FORMAT:
            raise ArtifactError(f"{path}: its format is {described['format']!r}, expected {FORMAT!r}; {again}")
        ranks_file = path.with_name(Path(described["ranks"]).name)
        lines = ranks_file.read_bytes()
        # Not tiktoken.load: it keeps a copy of the file by its name, and gives the old one after a new export.
        ranks = {base64.b64decode(piece): int(rank) for piece, rank in map(bytes.split, lines.splitlines())}
        expected = described["ranks_sha256"]
    except OSError as error:
        raise ArtifactError(f"{error.filename}: cannot be read ({error.strerror}); {again}") from None
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise ArtifactError(f"{path}: damaged ({error!r}); {again}") from None
    if hashlib.sha256(lines).hexdigest() != expected:
        raise ArtifactError(f"{ranks_file}: not the ranks that {path.name} names; {again}")
    return _encoding(described, ranks, path)


def _encoding(described: dict[str, Any], ranks: dict[bytes, int], path: Path) -> tiktoken.Encoding:
    try:
        import tiktoken
    except ImportError:
        raise InputError(f"tiktoken is not installed; install it with: {install('export')}") from None
    try:
        return tiktoken.Encoding(
            described["name"],
            pat_str=described["pat_str"],
            mergeable_ranks=ranks,
            special_tokens=described["special_tokens"],
        )
    except ValueError as error:
        raise InputError(
            f"{path}: tiktoken does not take its pattern ({error}); extend the stock tokenizer with: --span word"
        ) from None


def _ranks(tokenizer: Stock) -> dict[bytes, int]:
    """Id of each entry that text can give, by its bytes, in id order.

    tiktoken would produce an entry that no merge makes (a placeholder), so such entries are left out, unless the
    tokenizer too looks whole pieces up (ignore_merges) and the entry is written in the byte alphabet.
    """
    model = tokenizer.data["model"]
    added = {token["content"] for token in tokenizer.added}
    alphabet = frozenset(BYTE_CHARACTERS)
    reachable = alphabet | {left + right for left, right in tokenizer.merges}
    if model.get("ignore_merges"):
        reachable |= {token for token in model["vocab"] if alphabet.issuperset(token)}
    ranks = {
        tokenizer.spelled[token]: identifier
        for token, identifier in sorted(model["vocab"].items(), key=lambda entry: entry[1])
        if token in reachable and token not in added
    }
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise InputError(
            f"{tokenizer.path}: no token for the byte {missing[0]:#04x} ({len(missing)} such bytes), tiktoken needs "
            "all 256; this tokenizer cannot be exported to tiktoken"
        )
    return ranks


def _pattern(tokenizer: Stock) -> str:
    """The one pattern that cuts text into pieces.

    Raises:
        InputError: there are several, or one that finds pieces in another way than tiktoken.
    """
    part = tokenizer.data["pre_tokenizer"]
    steps = list(part["pretokenizers"]) if part["type"] == "Sequence" else [part]
    kinds = [step["type"] for step in steps]
    byte_level = steps[-1]
    if kinds[-1] != "ByteLevel" or byte_level.get("add_prefix_space"):
        raise _inexpressible(tokenizer, f"the pre-tokenizer ends with {json.dumps(byte_level)}")
    if len(steps) == 1 and byte_level.get("use_regex", True):
        return GPT2_PATTERN
    if len(steps) != 2 or kinds[0] != "Split" or byte_level.get("use_regex", True):
        raise _inexpressible(tokenizer, f"it cuts in {len(steps)} steps ({', '.join(kinds)})")
    split = steps[0]
    pattern = split["pattern"].get("Regex")
    found = split["behavior"] == "Isolated" or (split["behavior"] == "Removed" and split["invert"])
    if pattern is None or not found:
        raise _inexpressible(tokenizer, f"it cuts by {json.dumps(split, ensure_ascii=False)[:200]}")
    return str(pattern)


def _inexpressible(tokenizer: Stock, why: str) -> InputError:
    return InputError(
        f"{tokenizer.path}: tiktoken cuts text by one pattern that finds the pieces, and here {why}; "
        "use tokenizer.json itself, or export with: --to gguf"
    )


def _normalizer(tokenizer: Stock) -> str | None:
    """What is done to text before it is cut: "NFC" or nothing."""
    part = tokenizer.data.get("normalizer")
    if not part or part.get("normalizers") == []:
        return None
    if part == {"type": "NFC"}:
        return "NFC"
    raise _inexpressible(tokenizer, f"text is normalised first ({json.dumps(part)[:200]})")
