"""From a trained folder to one plain checkpoint: adapter merged into the weights, new rows written flat.

The result needs neither hypertok nor PEFT: transformers and whatever else reads safetensors loads it. It is an extended
model folder too, so that `HyperTokenizer`, `hypertok verify` and another round of training take it as they took the one
that it was made from.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig

import hypertok
from hypertok.artifact import Manifest, kind_of, read_manifest, refuse_foreign, seal, writing
from hypertok.errors import ArtifactError, InputError
from hypertok.model import resize
from hypertok.model.checkpoint import CONFIG, Checkpoint
from hypertok.model.initialise import STRATEGIES
from hypertok.model.memory import require_memory
from hypertok.model.merged_config import keep_config
from hypertok.model.pair import DTYPES, EXTENDED, MERGED_STOCK, Pair
from hypertok.model.seen import SEEN, keep_seen
from hypertok.model.shard import INDEX, loaded_size
from hypertok.model.trained import NEW_ROWS, merged, open_trained
from hypertok.single_file import require_disk, write_file
from hypertok.tokenizer.folder import COPIED, listed_templates
from hypertok.tokenizer.stock_file import find_tokenizer, is_own

_GENERATION = "generation_config.json"
_SHARD = "5GB"
#: How files of weights end in folders that we wrote, and their index.
_WEIGHTS = (".safetensors", INDEX)
#: Files of a tokenizer as it came, besides the one that is read.
_TOKENIZER = frozenset(
    {
        *COPIED, "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "added_tokens.json", "vocab.json",
        "merges.txt", "tekken.json",
    }
)  # fmt: skip
#: What stands before a tensor's name in one class of a model and not in another.
_PREFIX = re.compile(r"^(?:model\.|language_model\.|transformer\.)+")
#: Numbers that old files hold and classes now compute: causal masks (GPT-2, GPT-NeoX) and frequencies of rotations.
_COMPUTED = re.compile(r"\.(?:attn|attention)\.(?:masked_)?bias$|\.inv_freq$")


def merge(
    trained: Path | str, output: Path | str, *, model: Path | str | None = None, dtype: str | torch.dtype = "auto"
) -> Manifest:
    """Merge a trained folder with its model and write the result.

    Args:
        trained: written by `hypertok train`.
        output: folder to write; replaced if it is such a folder.
        model: where the model it was trained on lies now, if it was moved.
        dtype: "float32", "bfloat16", or "auto" for that of the model's embedding; all is written in one.

    Returns:
        The manifest of the result; its fact `lost` names the model's tensors that are not in it, if there are any.

    Raises:
        ArtifactError: the folder is damaged, the model is another one, or `output` is something else.
        InputError: the model cannot be read, there is no such dtype, or too little memory or disk.
    """
    if not (isinstance(dtype, torch.dtype) or dtype in (*DTYPES, "auto")):
        raise InputError(f"dtype {dtype}: no such type; give one of {', '.join((*DTYPES, 'auto'))}")
    trained, output = Path(trained), Path(output)
    manifest, pair = open_trained(trained, None if model is None else Path(model))
    for folder in (trained, pair.folder):
        if output.exists() and output.samefile(folder):
            raise ArtifactError(f"{output}: is what the merged model is made from; name another output")
    kind = EXTENDED if pair.manifest else MERGED_STOCK  # a merged extended model is an extended one
    refuse_foreign(output, kind)
    _check_room(pair, trained, output, dtype)
    live = merged(pair.load(dtype), trained)
    with writing(output, kind) as folder:
        _save(live, pair, folder, reading=manifest.recipe["options"].get("reading", False))
        _copy_tokenizer(pair, folder)
        _keep_seen(folder, pair, trained)
        return _seal(folder, pair, manifest, _lost(pair, folder))


def _save(live: Any, pair: Pair, folder: Path, *, reading: bool) -> None:
    """The model's files. Settings of generation are the model's own: transformers refuses to save some that it loads.

    But for `suppress_tokens`, by which its `generate` goes: no unit is written whose row was trained to be read only.
    """
    own, path = _settings(pair.folder), folder / _GENERATION
    if own is not None:
        fresh: Any = GenerationConfig
        live.generation_config = fresh()
    live.save_pretrained(str(folder), max_shard_size=_SHARD)
    keep_config(pair.checkpoint.config, folder)
    settings = own or _settings(folder) or {}
    new = set(pair.new_ids)
    kept = [one for one in settings.pop("suppress_tokens", None) or () if one not in new]
    if suppressed := [*kept, *(pair.new_ids if reading else ())]:
        settings["suppress_tokens"] = suppressed
    if path.is_file():  # not of a model that cannot generate
        write_file(path, (json.dumps(settings, ensure_ascii=False, indent=2) + "\n").encode())


def _settings(folder: Path) -> dict[str, Any] | None:
    """What `generation_config.json` says; None where there is none that can be read, which transformers passes over."""
    try:
        found = json.loads((folder / _GENERATION).read_bytes())
    except (OSError, ValueError):
        return None
    return {key: value for key, value in found.items() if key != "_from_model_config"} if found else None


def _check_room(pair: Pair, trained: Path, output: Path, dtype: str | torch.dtype) -> None:
    """Before the model is loaded; the old result stays until the new one is whole."""
    checkpoint = pair.checkpoint
    kind = dtype if isinstance(dtype, torch.dtype) else getattr(torch, dtype, checkpoint.dtype)  # "auto" is none
    weights = loaded_size(checkpoint.loaded.values(), kind.itemsize)
    rows = (trained / NEW_ROWS).stat().st_size if (trained / NEW_ROWS).is_file() else 0
    parts = {"the model": weights, "new rows": rows}
    require_memory(parts, "merging needs", "merge in another type (--dtype bfloat16), or on a machine with more memory")
    require_disk(output, weights, "the merged model needs")


def _keep_seen(folder: Path, pair: Pair, trained: Path) -> None:
    """What the model has been trained on by now; nothing where a part of it is not known."""
    base = pair.manifest
    if base is None and kind_of(pair.folder) == MERGED_STOCK.name:
        base = read_manifest(pair.folder, MERGED_STOCK)
    fresh = base is None or ("trained" not in base.parents and base.recipe.get("init") in (None, *STRATEGIES))
    if (trained / SEEN).is_file() and (fresh or (pair.folder / SEEN).is_file()):
        keep_seen(folder, pair.folder, trained)
    else:
        (folder / SEEN).unlink(missing_ok=True)  # the model's own was copied


def _copy_tokenizer(pair: Pair, folder: Path) -> None:
    """The files of an extended folder, those of a tokenizer, and what else belongs to a model; no weights, no code.

    What saving the model has written stays. Nothing names code that is not there (`auto_map`), or transformers would
    look for it.
    """
    own = pair.manifest.files if pair.manifest else {}  # of what we wrote ourselves, code is none of the model's
    read = find_tokenizer(pair.folder)  # whatever it is called
    for path in sorted(pair.folder.iterdir()):
        known = path.name in own or path == read or resize.is_side_file(path)
        known |= path.name in _TOKENIZER and is_own(path, pair.folder)
        if known and not path.name.endswith(_WEIGHTS) and not (folder / path.name).exists():
            shutil.copyfile(path, folder / path.name)
    templates = listed_templates(pair.folder)
    for path in (folder / CONFIG, folder / "tokenizer_config.json"):
        if own or not path.is_file():
            continue
        content = json.loads(path.read_bytes())
        changed = content.pop("auto_map", None) is not None
        if templates and path.name != CONFIG:
            content["chat_template"], changed = templates, True
            (folder / "chat_template.jinja").unlink(missing_ok=True)  # transformers would take it for all of them
        if changed:
            path.write_bytes((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())


def _lost(pair: Pair, folder: Path) -> list[str]:
    """What is not in the merged model: transformers loads some kinds without what is for images, or predicts ahead."""
    base, merged = (
        {_PREFIX.sub("", name): name for shard in one.shards for name in shard.entries}
        for one in (pair.checkpoint, Checkpoint.open(folder))
    )
    copy = pair.checkpoint.copy  # of a tied model's matrix, which is saved once
    return sorted(
        name
        for bare, name in base.items()
        if bare not in merged and not (copy and name == copy.name) and not _COMPUTED.search(name)
    )


def adapted(manifest: Manifest | None) -> bool:
    """Whether an adapter is merged into a model folder's layers; one merged before that was noted counts as such."""
    return manifest is not None and bool(manifest.facts.get("adapted", "trained" in manifest.parents))


def _seal(folder: Path, pair: Pair, trained: Manifest, lost: list[str]) -> Manifest:
    base = pair.manifest
    fields: dict[str, Any] = base.model_dump(exclude={"files", "kind", "schema_version"}) if base else {}
    fields["parents"] = {**fields.get("parents", {}), "model": pair.sha256, "trained": trained.sha256}
    fields["recipe"] = {**fields.get("recipe", {}), "train": trained.recipe["options"]}
    fields["versions"] = {**trained.versions, "hypertok": hypertok.__version__}
    facts = {name: fact for name, fact in fields.get("facts", {}).items() if name != "lost"}  # of an earlier merge
    facts["adapted"] = bool(trained.facts["adapter"]) or adapted(base)
    fields["facts"] = facts | ({"lost": lost} if lost else {})
    return seal(folder, EXTENDED if base else MERGED_STOCK, **fields)
