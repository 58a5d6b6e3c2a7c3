"""Data types that a definition leaves to the machine ("auto"), decided before anything is run.

Figures hang on them, so results of two machines that decide otherwise are not mixed.
"""

from __future__ import annotations

from hypertok.experiment.definition import Definition
from hypertok.experiment.inputs import needed
from hypertok.measure.device import device_of


def settled(definition: Definition) -> Definition:
    """The definition with no data type left to the machine.

    That of the kind memory, which measures a checkpoint as it is, stays.

    Raises:
        InputError: there is no model.
    """
    if definition.kind == "memory":
        return definition
    from hypertok.model.checkpoint import Checkpoint
    from hypertok.model.load import is_emulated
    from hypertok.training.precision import settled as settled_training

    arms = tuple(arm.model_copy(update={"train": settled_training(arm.train)}) for arm in definition.arms)
    measure = definition.measure
    if measure.dtype == "auto":
        own = Checkpoint.open(*needed(definition, "model")).dtype
        taken = "float32" if is_emulated(own, device_of(measure.device)) else str(own).removeprefix("torch.")
        measure = measure.model_copy(update={"dtype": taken})
    return definition.model_copy(update={"arms": arms, "measure": measure})
