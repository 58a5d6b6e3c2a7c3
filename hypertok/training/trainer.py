"""transformers.Trainer with our parts: two learning rates, our order of blocks, checkpoints of what is trained alone.

From the library come the loop, gradient accumulation, several devices, checkpoints of optimizer, scheduler and random
numbers, progress and reports. What a checkpoint holds of the model are the parameters that are trained; it counts only
when the file `complete` stands in it, so a kill while it is written costs the steps since the one before, no more.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import save_fsdp_optimizer
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import SCHEDULER_NAME

from hypertok.errors import ArtifactError, HypertokError
from hypertok.model.split import new_rows
from hypertok.replacing import flush, to_disk
from hypertok.training.checkpoints import COMPLETE, complete_checkpoints, last_checkpoint
from hypertok.training.data import Blocks
from hypertok.training.loss import IGNORED, LossModel
from hypertok.training.options import TrainOptions

#: What a checkpoint holds of the model.
_TRAINED = "trained.safetensors"


class Diverged(HypertokError):
    """The loss or a weight is no number any more."""


def arguments(options: TrainOptions, work: Path, *, cpu: bool, evaluates: bool) -> TrainingArguments:
    """What transformers' loop is told."""
    made = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=options.batch,
        gradient_accumulation_steps=options.accumulate,
        num_train_epochs=1,  # Blocks hold every epoch, each in its own order
        max_grad_norm=options.clip,
        warmup_steps=options.warmup,
        lr_scheduler_type=options.schedule if options.schedule != "constant" else "constant_with_warmup",
        learning_rate=options.lora_lr,
        seed=options.seed,
        save_strategy="steps",
        save_steps=options.save_every,
        save_total_limit=None,  # the library goes by dates, and clocks go back: see `_save_checkpoint`
        logging_steps=options.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluates and options.evaluate_every else "no",
        eval_steps=options.evaluate_every or None,
        report_to=options.report_to,
        disable_tqdm=True,  # see callbacks.Bar
        use_cpu=cpu,
        bf16=False,  # the model itself is bf16; autocast is ten times slower on a CPU
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
    )
    made.report_to = [] if options.report_to == "none" else [options.report_to]  # else Kubeflow's, too, under Kubeflow
    made.mixed_precision = "no"  # whatever the user's configuration of accelerate says, which no manifest would tell
    return made


class RowsTrainer(Trainer):  # type: ignore[misc, unused-ignore]
    """The loop for `LossModel`."""

    def __init__(
        self,
        model: LossModel,
        args: TrainingArguments,
        options: TrainOptions,
        blocks: Blocks,
        held_out: Blocks | None,
        callbacks: list[TrainerCallback],
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=blocks,
            eval_dataset=held_out,
            data_collator=_stack,
            callbacks=callbacks,
        )
        self.options = options
        self.blocks, self.held_out, self.work = blocks, held_out, Path(str(args.output_dir))
        self.whole, self.inner = model, model.model
        self.names = [name for name, p in self.inner.named_parameters() if p.requires_grad]
        self._judged: tuple[int, dict[str, float]] = (-1, {})

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.blocks if train_dataset is None else train_dataset)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over adapter and new rows, each with its own rate; nothing else has state."""
        if self.optimizer is None:
            named = [(name, p) for name, p in (model or self.whole).named_parameters() if p.requires_grad]
            rows = [p for name, p in named if _is_of_rows(name)]
            adapter = [p for name, p in named if not _is_of_rows(name)]
            groups = [
                {
                    "params": adapter,
                    "lr": self.options.lora_lr,
                    "weight_decay": self.options.weight_decay,
                    "name": "lora",
                },
                {"params": rows, "lr": self.options.rows_lr, "weight_decay": 0.0, "name": "rows"},
            ]
            # Fused: the other ways hold copies as large as the rows while they step.
            self.optimizer = torch.optim.AdamW([group for group in groups if group["params"]], fused=True)
        return self.optimizer

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """One batch forward and backward; stops the run when its loss is no number."""
        loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not math.isfinite(loss.item()):
            raise self._diverged(f"the loss is {loss.item()}")
        return loss

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss per predicted token of the held-out blocks, and their bits per character where all are predicted.

        Separators between documents are included.
        """
        blocks: Any = self.held_out if eval_dataset is None else eval_dataset
        total = torch.zeros(2, dtype=torch.float64)
        self.whole.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):  # few blocks: not worth compiling for
            for batch in _batches(
                blocks, self.args.per_device_train_batch_size, self.args.process_index, self.args.world_size
            ):
                inputs = self._prepare_inputs(batch)
                summed = self.whole(**inputs, num_items_in_batch=1)["loss"].cpu().double()
                total += torch.stack([summed, (batch["labels"] != IGNORED).sum().double()])
        self.whole.train()
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.to(self.args.device), "sum").cpu()
        nats, tokens = total.tolist()
        metrics = {f"{metric_key_prefix}_loss": nats / tokens}
        if not self.options.reading:  # there it is a divergence, and of a part of the text
            metrics[f"{metric_key_prefix}_bpc"] = nats / math.log(2) / blocks.characters
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self._judged = self.state.global_step, metrics
        return metrics

    def judged(self) -> dict[str, float]:
        """What `evaluate` gives for the weights as they are now; the loop has mostly asked after its last step."""
        step, metrics = self._judged
        return metrics if step == self.state.global_step else self.evaluate()

    @property
    def total_loss(self) -> float:
        """Sum over the steps of this start (older versions of transformers, 5.17 too, return it over all steps)."""
        return float(self._total_loss_scalar)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Name both learning rates instead of the first one."""
        if "learning_rate" in logs and self.optimizer is not None:
            del logs["learning_rate"]
            groups = self.optimizer.param_groups
            logs |= {f"{group.get('name', 'lora')}_lr": float(group["lr"]) for group in groups}
        super().log(logs, *args, **kwargs)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: the estimate of the library knows no tiled loss."""
        return 0

    def trained(self, *, rows: bool = False) -> dict[str, Tensor]:
        """What is trained, by its names in the inner model, whole; every process has to ask for it.

        Args:
            rows: and new rows that are not: reading trains one side of an untied model.
        """
        for module in self.whole.modules():
            if isinstance(module, FSDPModule):
                module.reshard()  # after an evaluation parameters are still together, maybe rounded
        named = self.inner.named_parameters()
        trained = {name: p.detach() for name, p in named if p.requires_grad or (rows and _is_of_rows(name))}
        return {name: p.full_tensor().cpu() if isinstance(p, DTensor) else p for name, p in trained.items()}

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """What is trained, whatever the devices hold of it."""
        trained = self.trained()
        if not self.args.should_save:
            return
        if not all(bool(p.isfinite().all()) for p in trained.values()):
            raise self._diverged("a trained weight is no number")
        folder = Path(output_dir or self.work)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: p.cpu().contiguous() for name, p in trained.items()}, folder / _TRAINED)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        # As the library does, but for the model: it would write the frozen parameters, too.
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.whole, output_dir)
        if self.args.should_save and self.lr_scheduler is not None:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            folder = self.work / f"checkpoint-{self.state.global_step}"
            to_disk(folder)  # before it counts, and before an older one goes
            (folder / COMPLETE).touch()
            for path in (folder, self.work, *self.work.glob("*.jsonl")):
                flush(path)
            for old in complete_checkpoints(self.work)[: -self.options.keep]:
                (old / COMPLETE).unlink()
                shutil.rmtree(old, ignore_errors=True)  # a scanner of Windows may have a file of it open

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        path = Path(resume_from_checkpoint) / _TRAINED
        tensors = load_file(path) if path.is_file() else {}
        if set(tensors) != set(self.names):
            raise ArtifactError(f"{path}: not the parameters of this run; remove {self.work} and train anew")
        with torch.no_grad():
            for name, tensor in tensors.items():
                p = self.inner.get_parameter(name)
                if isinstance(p, DTensor):
                    p.copy_(distribute_tensor(tensor.to(p.device), p.device_mesh, p.placements))
                else:
                    p.copy_(tensor)

    def _diverged(self, what: str) -> Diverged:
        good = last_checkpoint(self.work)
        rates = "rows_lr" if self.options.rows_only else "rows_lr and lora_lr" if new_rows(self.inner) else "lora_lr"
        remedy = f"last good checkpoint: {good}" if good else "no checkpoint was written yet"
        return Diverged(
            f"{what} at step {self.state.global_step + 1}; {remedy}; lower {rates}, remove {self.work} and start again"
        )


def _is_of_rows(name: str) -> bool:
    """Whether a parameter of this name is what new rows are made of."""
    return ".table.rows." in f".{name}"


def _stack(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """A batch; shorter blocks are filled up with places that predict nothing."""
    return {
        name: pad_sequence(
            [item[name] for item in items], batch_first=True, padding_value=IGNORED if name.endswith("labels") else 0
        )
        for name in items[0]
    }


def _batches(blocks: Blocks, size: int, rank: int, ranks: int) -> Iterator[dict[str, Tensor]]:
    """Every `ranks`-th batch of blocks, beginning with that of `rank`; as many for each rank, for FSDP has them wait
    for each other in every layer: what is missing at the end is a block that predicts nothing."""
    for first in range(0, len(blocks), size * ranks):
        start = first + rank * size
        batch = _stack([blocks[index] for index in range(start, min(start + size, len(blocks)))] or [blocks[0]])
        if start >= len(blocks):
            batch |= {name: torch.full_like(batch[name], IGNORED) for name in batch if name.endswith("labels")}
        yield batch
