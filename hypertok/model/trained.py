"""The folder that training writes: a LoRA adapter and the new rows, beside the model that they belong to.

The adapter's files are named as PEFT names them (`adapter_config.json`, `adapter_model.safetensors`);
`new_rows.safetensors` holds `ids` (N,), `input` (N, d) and, for untied models, `output` (N, d), in fp32. The model
itself is not copied: the manifest names its sha256, and where it lay. The folder is for `hypertok merge`: PEFT knows
nothing of new rows, so where there are any the adapter names no base model, and cannot be loaded by its path alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.func import functional_call

from hypertok.artifact import Manifest, open_checked
from hypertok.errors import ArtifactError
from hypertok.model.config import ADAPTER_CONFIG, TRAINED
from hypertok.model.pair import Pair
from hypertok.model.split import causal_lm, is_tied, merge_rows, new_rows, split_rows
from hypertok.tokenizer.stock_file import read_side_file

NEW_ROWS = "new_rows.safetensors"
ADAPTER = "adapter_model.safetensors"
#: What of `adapter_config.json` is taken. Other fields name modules to import and files of others, or go online.
_LORA = (
    "r", "lora_alpha", "lora_dropout", "use_dora", "use_rslora", "bias", "fan_in_fan_out", "rank_pattern",
    "alpha_pattern", "target_modules", "exclude_modules", "target_parameters", "layers_to_transform", "layers_pattern",
)  # fmt: skip


def has_adapter(model: nn.Module) -> bool:
    """Whether the model is in PEFT's wrapper."""
    return hasattr(model, "peft_config")


def save_trained(model: nn.Module, folder: Path, state: dict[str, Tensor] | None = None) -> None:
    """Write adapter and new rows, as far as the model has them, into an existing folder.

    Args:
        state: where the parameters are spread over devices (FSDP), those that are trained by name, gathered.
    """
    rows = new_rows(model)
    if has_adapter(model):
        # Embeddings are never saved with the adapter: PEFT would compare vocabulary sizes with a model hub.
        adapter = get_peft_model_state_dict(model, state_dict=state, save_embedding_layers=False)
        save_file(_plain(adapter), folder / ADAPTER, metadata={"format": "pt"})
        config: Any = copy(model.peft_config["default"])  # type: ignore[index]
        if rows:
            config.base_model_name_or_path = None
        config.save_pretrained(str(folder))
    if not rows:
        return
    ids = causal_lm(model).get_input_embeddings().table.new_ids
    names = {module: name for name, module in model.named_modules()}
    parts = {side: _parts(module, names[module], state) for side, module in rows.items()}
    device = ids.device  # gathered tensors are on the CPU
    flat = {side: functional_call(rows[side], {k: v.to(device) for k, v in own.items()}) for side, own in parts.items()}
    save_file(_plain({**flat, "ids": ids}), folder / NEW_ROWS, metadata={"format": "pt"})


def _parts(module: nn.Module, name: str, state: dict[str, Tensor] | None) -> dict[str, Tensor]:
    """The trained tensors of a module that gives rows, gathered or its own."""
    if state is None:
        return {key: value.detach() for key, value in module.state_dict().items()}
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}


def open_trained(folder: Path, model_folder: Path | None = None) -> tuple[Manifest, Pair]:
    """The manifest of a trained folder and the model it was trained on.

    Args:
        model_folder: where that model lies now; None if it lies where it lay.

    Raises:
        ArtifactError: damaged, or that model is another one.
    """
    manifest = open_checked(folder, TRAINED)
    where = model_folder or Path(manifest.recipe["model"])
    if not where.is_dir():
        raise ArtifactError(f"{folder}: the model it was trained on is not at {where}; name its folder with --model")
    pair = Pair.open(where)
    same_files = pair.files_sha256 is not None and pair.files_sha256 == manifest.parents.get("model_files")
    if pair.sha256 != manifest.parents["model"] and not same_files:  # made again by another hypertok
        raise ArtifactError(
            f"{where}: not the model that {folder} was trained on (sha256 {pair.sha256[:12]}…, it names "
            f"{manifest.parents['model'][:12]}…); name that one with --model"
        )
    return manifest, pair


def attach(model: Any, folder: Path) -> Any:
    """Put the new rows and the adapter of a trained folder onto its model; nothing is merged; in evaluation mode.

    Raises:
        ArtifactError: the adapter is not this model's or no LoRA, the rows are of other sides than the model has, or
            neither is there.
        InputError: the adapter's description is damaged.
    """
    if not any((folder / name).is_file() for name in (NEW_ROWS, ADAPTER)):
        raise ArtifactError(f"{folder}: has neither new rows nor an adapter; train them with: {TRAINED.command}")
    if (folder / NEW_ROWS).is_file():
        _attach_rows(model, folder / NEW_ROWS)
    if (folder / ADAPTER).is_file():
        model = get_peft_model(model, _lora(folder / ADAPTER_CONFIG), autocast_adapter_dtype=True)
        result: Any = set_peft_model_state_dict(model, load_file(folder / ADAPTER))
        missing = [name for name in result.missing_keys if "lora_" in name]
        if missing or result.unexpected_keys:
            raise ArtifactError(
                f"{folder / ADAPTER}: not this model's adapter ({[*missing, *result.unexpected_keys][0]}); use the "
                "model that it was trained on"
            )
    return model.eval()


def _attach_rows(model: Any, path: Path) -> None:
    tensors = load_file(path)
    held = sorted(set(tensors) - {"ids"})
    needed = ["input"] if is_tied(model) else ["input", "output"]
    if held != needed:
        raise ArtifactError(
            f"{path}: has new rows for {_sides(held)}, and the model, whose two matrices are "
            f"{'one' if len(needed) == 1 else 'apart'}, needs them for {_sides(needed)}; use the model that it was "
            "trained on"
        )
    split_rows(model, tensors["ids"], tensors["input"], tensors.get("output"))


def _sides(names: Sequence[str]) -> str:
    return " and ".join(names) or "no matrix"


def merged(model: Any, folder: Path) -> Any:
    """A model with the new rows and the adapter of a trained folder in its matrices: plain again, as it is shipped.

    Raises:
        ArtifactError: see `attach`.
    """
    model = attach(model, folder)
    if has_adapter(model):
        model = model.merge_and_unload()
    return merge_rows(model) if new_rows(model) else model


def _lora(path: Path) -> Any:
    """What an adapter is, from its own file alone: PEFT would look for one that is not there on the hub.

    Raises:
        ArtifactError: it is not there, or none of LoRA.
        InputError: it cannot be read.
    """
    said = read_side_file(path)
    if said.get("peft_type") != "LORA":
        raise ArtifactError(
            f"{path}: not there, or of another kind than LORA ({said.get('peft_type')!r}); train again with: "
            f"{TRAINED.command}"
        )
    return LoraConfig(task_type="CAUSAL_LM", **{name: said[name] for name in _LORA if name in said})


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
