"""Reading definitions: overrides over `defaults.toml`, `${NAMES}` of the environment, errors that name file and key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from hypertok.errors import InputError, said_of
from hypertok.experiment.definition import Arm, Definition, Inputs, Kind, expanded
from hypertok.training.options import TrainOptions

DEFAULTS = "defaults.toml"
#: What a folder's definition is called.
IN_FOLDER = "experiment.toml"
#: The key that names a definition to begin from.
BASE = "base"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
#: Tables of the file that every arm takes and overrides.
_SHARED = ("tokenizer", "train")
#: Parameters of training that an experiment sets by itself, and what decides them.
_OWN = {"characters": "the key characters at the top", "seed": "the key seeds at the top"}


def read_definition(path: Path | str, inputs: Mapping[str, Path | str | None] | None = None) -> Definition:
    """Read a definition: a TOML file, or a folder with `experiment.toml` in it.

    `defaults.toml` beside the file, or beside the folder, is what it overrides; without one the built-in values are,
    which are the same. In between stands the definition that its key `base` names, if any. Relative paths in the file
    count from its folder, those of the environment from here.

    Args:
        inputs: paths of `[inputs]` by name that are used instead of the file's; None for those that are not given.

    Raises:
        InputError: unreadable, an unknown key, a value that does not fit, or a variable that is not set.
    """
    path = Path(path).absolute()  # "." has a name then, and a folder that it lies in
    if path.is_dir():
        path = path / IN_FOLDER
        name, base = path.parent.name, path.parent.parent / DEFAULTS
    else:
        name, base = path.stem, path.parent / DEFAULTS
    data = _over_base(path)
    if base.is_file() and not base.samefile(path):
        data = merged(_toml(base), data)
    given = {key: str(Path(value).absolute()) for key, value in (inputs or {}).items() if value is not None}
    if unknown := set(given) - set(Inputs.model_fields):
        raise InputError(f"inputs: no {', '.join(sorted(unknown))}; known are {', '.join(Inputs.model_fields)}")
    data["inputs"] = {**_table(path, "inputs", data), **given}
    data["name"] = data.get("name") or name
    data["arms"] = _arms(path, data)
    data = expanded(data)
    for key in _SHARED:
        data.pop(key, None)
    try:
        return Definition.model_validate(_with_paths(path, data))
    except ValidationError as error:
        raise InputError(f"{path}: {_told(error, [arm['name'] for arm in data['arms']])}") from None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables key by key, everything else replaced.

    >>> merged({"a": 1, "t": {"x": 1, "y": 2}}, {"t": {"y": 3}})
    {'a': 1, 't': {'x': 1, 'y': 3}}
    """
    found = dict(base)
    for key, value in over.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return found


def _over_base(path: Path, before: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A file's content over that of the file beside it that it begins from, which may begin from another one."""
    data = _toml(path)
    if (base := data.pop(BASE, None)) is None:
        return data
    if not isinstance(base, str) or not base or Path(base).name != base:
        raise InputError(
            f'{path}: {BASE}: {base!r} is no file beside this one; write its name, like {BASE} = "ab.toml"'
        )
    if path.with_name(base) in (path, *before):
        raise InputError(f"{path}: {BASE}: {base} begins from this one; take the key out of one of them")
    other = _over_base(path.with_name(base), (path, *before))
    other.pop("name", None)  # results of two definitions do not lie in one folder
    return merged(other, data)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows
    except OSError as error:
        raise InputError(
            f"{path}: no definition of an experiment ({error.strerror}); name a TOML file, or a folder with {IN_FOLDER}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: no TOML ({error}); correct this place") from None


def _arms(path: Path, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arms as a list of tables, each with all that it shares with the others."""
    shared = {key: _table(path, key, data) for key in _SHARED}
    arms = _table(path, "arms", data)
    found = []
    for name in arms:
        arm = _table(path, name, arms, "arms.")
        train = _table(path, "train", arm, f"arms.{name}.")
        _table(path, "tokenizer", arm, f"arms.{name}.")
        for key, where in _OWN.items():
            if key in shared["train"] or key in train:
                raise InputError(f"{path}: arms.{name}.train.{key}: {where} decides this for all arms; leave it out")
        if "name" in arm:
            raise InputError(f"{path}: arms.{name}.name: unknown key; an arm's name is that of its table, [arms.NAME]")
        tables = shared
        if {**shared["train"], **train}.get("rows_only"):  # what arms share of LoRA says nothing of one without it
            tables = {**shared, "train": {key: value for key, value in shared["train"].items() if key != "lora"}}
        found.append({"name": name, **merged({key: table for key, table in tables.items() if table}, arm)})
    return found


def _table(path: Path, key: str, data: Mapping[str, Any], before: str = "") -> Mapping[str, Any]:
    found = data.get(key, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: {before}{key} is {found!r} and must be a table; write [{before}{key}]")
    return found


def _with_paths(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """Variables put in, and relative paths made whole; an empty path is none."""
    inputs = {key: _place(path, f"inputs.{key}", value) for key, value in data["inputs"].items()}
    found = {**data, "inputs": {key: value for key, value in inputs.items() if value}}
    memory = data.get("memory")
    if isinstance(memory, Mapping) and isinstance(memory.get("models"), list):
        models = []
        for number, model in enumerate(memory["models"]):
            if isinstance(model, Mapping) and "tokenizer" in model:
                where = f"memory.models.{number}.tokenizer"
                model = {**model, "tokenizer": _place(path, where, model["tokenizer"])}
            models.append(model)
        found["memory"] = {**memory, "models": models}
    return found


def _place(path: Path, key: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value

    begin = path.parent

    def variable(match: re.Match[str]) -> str:
        nonlocal begin
        name, default = match[1], match[2]
        if name in os.environ:
            begin = Path()  # what the environment says was written here, not in the file
            return os.environ[name]
        if default is None:
            told = f", or give --{key.removeprefix('inputs.').replace('_', '-')}" if key.startswith("inputs.") else ""
            raise InputError(f"{path}: {key}: the variable {name} is not set; set it to a path{told}")
        return default

    found = _VARIABLE.sub(variable, value)
    if not found:
        return None
    return str((begin / found).absolute())


def _told(error: ValidationError, arms: Sequence[str]) -> str:
    """The first mistake, where it is and what is known there."""
    one = error.errors()[0]
    place = list(map(str, one["loc"]))
    if len(place) > 1 and place[0] == "arms":
        place[1] = arms[int(place[1])]
    where = ".".join(place)
    if one["type"] == "extra_forbidden":
        known = ", ".join(_known(place[:-1]))
        return f"{where}: unknown key; take it out or correct its name{f', known are {known}' if known else ''}"
    if one["loc"] == ("kind",):
        return f"kind: {one['input']!r} is none; choose one of {', '.join(get_args(Kind))}"
    return f"{where}: {said_of(one)}" if where else said_of(one)


def _known(place: Sequence[str]) -> list[str]:
    """The keys of a table, by its place in the file."""
    inside = [part for part in place[2:] if not part.isdecimal()] if place[:1] == ["arms"] else list(place)
    model: Any = Arm if place[:1] == ["arms"] else Definition
    for name in inside:
        if (field := model.model_fields.get(name)) is None or not hasattr(field.annotation, "model_fields"):
            return []
        model = field.annotation
    names = [field.alias or name for name, field in model.model_fields.items()]
    if model is Definition:
        return [BASE, *_SHARED, *names]
    hidden = {Arm: {"name"}, TrainOptions: _OWN}.get(model, ())
    return [name for name in names if name not in hidden]
