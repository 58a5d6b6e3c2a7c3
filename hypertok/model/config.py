"""What the configuration of a model says by itself, without its weights: how long a text it can read.

And what to say of a folder that holds an adapter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypertok.artifact import Kind, kind_of
from hypertok.errors import InputError, first_line, quoted
from hypertok.model.extra import require_train

#: The folder that training writes, and the file by which PEFT knows the folder of an adapter.
TRAINED = Kind("adapter", 1, "hypertok train MODEL_DIR --data CORPUS -o OUTPUT")
ADAPTER_CONFIG = "adapter_config.json"


def refuse_adapter(folder: Path) -> None:
    """See that a folder holds no adapter: it is no model, and beside one transformers puts it in unseen.

    Raises:
        InputError: it does.
    """
    if kind_of(folder) == TRAINED.name:
        raise InputError(
            f"{folder}: what was trained, without its model; put both together first: hypertok merge "
            f"{quoted(folder)} -o OUTPUT"
        )
    if (folder / ADAPTER_CONFIG).is_file():
        alone = not (folder / "config.json").is_file()
        raise InputError(
            f"{folder}: an adapter by PEFT, no model; merge it into its model first (merge_and_unload of PEFT, then "
            "save_pretrained) and name that folder"
            if alone
            else f"{folder / ADAPTER_CONFIG}: an adapter by PEFT beside a model; merge it into the model first "
            "(merge_and_unload of PEFT, then save_pretrained) and name that folder, or remove the file"
        )


def read_config(folder: Path) -> Any:
    """The configuration of a model folder, with the defaults of its kind.

    Raises:
        InputError: none there, of a kind that transformers does not know, or with fields that it refuses.
    """
    require_train()
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: no configuration that transformers knows ({first_line(error)})") from error
    except StrictDataclassError as error:
        raise refused(folder, error) from error


def refused(folder: Path, error: Exception) -> InputError:
    """What to say of a field that transformers refuses (StrictDataclassError), of a wrong type mostly."""
    return InputError(f"{folder / 'config.json'}: {reason_of(error)}; correct it, or download it again")


def reason_of(error: Exception) -> str:
    """What transformers says of a field that it refuses, on one line."""
    return str(error.__cause__ or error).rstrip(".")


def positions_of(config: Any) -> int | None:
    """The longest sequence that a configuration of transformers allows, in tokens; None where it names no limit."""
    found = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def position_rows(config: Any) -> int | None:
    """Rows of a model's table of positions (GPT-2, OPT), beyond which reading is an IndexError.

    None where positions are rotations: beyond those it was trained on such a model reads badly, but it reads.
    """
    rotations = getattr(config.get_text_config(decoder=True), "rope_parameters", None)
    return None if rotations else positions_of(config)
