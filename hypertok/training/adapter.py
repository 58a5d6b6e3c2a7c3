"""LoRA and DoRA by PEFT, with products in the model's data type.

PEFT keeps the adapter of a bf16 model in fp32, which the optimizer needs, and casts the layer's input to fp32 for it.
On a CPU with bf16 units that makes the small products as dear as the large ones; here weights are cast instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional as F

from hypertok.errors import InputError
from hypertok.model.checkpoint import NOT_TEXT
from hypertok.model.split import new_rows
from hypertok.training.options import LoraOptions, is_named


class _CastLinear(nn.Linear):
    """A layer in fp32 that computes in the data type of its input."""

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.to(input.dtype))


def add_adapter(model: Any, options: LoraOptions) -> Any:
    """Wrap a model, split or not, with a new adapter on its linear layers, embedding and head excepted.

    Raises:
        InputError: no layer has a name asked for, or PEFT cannot give the model's layers such an adapter.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())  # the loss takes their rows, not their output
    layers = [name for name, part in model.named_modules() if _is_layer(part) and part not in ends]
    unknown = [target for target in options.targets if not any(is_named(name, target) for name in layers)]
    if not any(p.ndim == 3 for p in model.parameters()):  # experts: PEFT knows what they are called in files
        _refuse(unknown, layers)
    # Text never reaches what is there for images and sounds, so an adapter would get no gradient. PEFT warns of a
    # pattern that meets nothing.
    elsewhere = any(map(NOT_TEXT.search, layers))
    config = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha or 2 * options.r,  # type: ignore[arg-type, unused-ignore]
        use_dora=options.dora,
        lora_dropout=options.dropout,
        target_modules=list(options.targets) or "all-linear",
        exclude_modules=rf".*({NOT_TEXT.pattern}).*" if elsewhere else None,
        task_type="CAUSAL_LM",
    )
    try:
        wrapped = get_peft_model(model, config)
    except ValueError as error:
        wanted = ", ".join(f"{name} {value}" for name, value in options.model_dump(exclude_defaults=True).items())
        raise InputError(
            f"lora ({wanted or 'as by default'}): {error}; name layers of the model as targets (none for all linear "
            "ones), and leave dora and dropout out for a model with experts"
        ) from error
    left = wrapped.peft_config["default"].target_modules or ()  # without the names that it has found for experts
    _refuse([target for target in unknown if target in left], layers)
    for rows in new_rows(wrapped).values():
        rows.requires_grad_(True)  # PEFT has frozen everything that is not its own
    if not options.dora:  # it needs its input in fp32 for the norms
        for layer in wrapped.modules():
            if isinstance(layer, LoraLayer):
                _compute_in_input_type(layer)
    return wrapped


def _is_layer(part: nn.Module) -> bool:
    """Whether it multiplies by a matrix: nn.Linear, or GPT-2's layer that is none."""
    weight = getattr(part, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim == 2 and not isinstance(part, nn.Embedding)


def _refuse(unknown: Sequence[str], layers: Sequence[str]) -> None:
    if unknown:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
        raise InputError(f"lora targets={unknown[0]}: no layer inside has this name; name some of {known}")


def _compute_in_input_type(layer: LoraLayer) -> None:
    layer.cast_input_dtype_enabled = False
    for part in (*layer.lora_A.values(), *layer.lora_B.values()):
        if type(part) is nn.Linear and part.bias is None:
            part.__class__ = _CastLinear
