"""`hypertok` with parameters spread by FSDP over CPU processes; a program for `accelerate launch`.

accelerate turns FSDP on for accelerators alone and without a word takes whole copies on CPUs, though torch spreads
parameters over gloo, too. So accelerate's state is made here what it is on a GPU; all else is as it is shipped. With
STOP_AT=N in the environment the run breaks off in the step after N.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch import Tensor
from torch.distributed.tensor import DTensor

from hypertok.cli.main import main
from hypertok.training.trainer import RowsTrainer

begin, trained, step = AcceleratorState.__init__, RowsTrainer.trained, RowsTrainer.training_step
frozen: dict[str, Tensor] = {}


def begin_with_fsdp(self: Any, *arguments: Any, fsdp_plugin: Any = None, **named: Any) -> None:
    begin(self, *arguments, fsdp_plugin=fsdp_plugin, **named)
    if fsdp_plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin


def trained_and_checked(self: Any, **named: bool) -> dict[str, Tensor]:
    found = trained(self, **named)
    for name, parameter in self.inner.named_parameters():
        assert isinstance(parameter, DTensor), f"{name} is not spread"
        if len(parameter) > 1:
            assert parameter.to_local().numel() < parameter.numel(), f"{name} lies whole in one process"
        if name in frozen:
            assert torch.equal(parameter.full_tensor(), frozen[name]), f"{name} is frozen and changed"
    assert frozen.keys() | set(self.names) == dict(self.inner.named_parameters()).keys()
    return found


def step_or_break_off(self: Any, *arguments: Any) -> Tensor:
    if self.state.global_step == int(os.environ.get("STOP_AT", "-1")):
        raise KeyboardInterrupt
    return step(self, *arguments)


def train_remembering(self: Any, *arguments: Any, **named: Any) -> Any:
    frozen.update({name: p.clone() for name, p in self.inner.named_parameters() if not p.requires_grad})
    return train(self, *arguments, **named)


if __name__ == "__main__":
    train = RowsTrainer.train
    AcceleratorState.__init__ = begin_with_fsdp
    RowsTrainer.trained = trained_and_checked
    RowsTrainer.training_step = step_or_break_off
    RowsTrainer.train = train_remembering
    main()
