"""`train`: a model folder and texts in; a folder with adapter and new rows out.

While it runs, everything lies in a work folder beside the output (`OUTPUT.work`): checkpoints, the log, and `run.json`,
which says what the run is made of, so that nothing else is resumed in its place. The output is written whole at the
end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, set_seed
from transformers.trainer_callback import PrinterCallback

from hypertok.artifact import Manifest, read_manifest, seal, writing
from hypertok.corpus.sources import Skipped, refuse_inside
from hypertok.errors import InputError, quoted
from hypertok.model.config import TRAINED
from hypertok.model.full_gpu import full_gpu_told
from hypertok.model.load import check_kind
from hypertok.model.pair import Pair
from hypertok.model.seen import write_seen
from hypertok.model.shared_rows import split_shared_rows
from hypertok.model.split import new_rows
from hypertok.model.trained import has_adapter, save_trained
from hypertok.replacing import alone, discard
from hypertok.training.adapter import add_adapter
from hypertok.training.allocator import keep_freed_memory
from hypertok.training.callbacks import LOG, Bar, LogFile, Schedule
from hypertok.training.check_head import check_head
from hypertok.training.checkpoints import last_checkpoint
from hypertok.training.checks import LESS_MEMORY, check_positions, check_room, checkpoints, estimate, own_gpu, steps
from hypertok.training.code_state import code_state
from hypertok.training.compiling import compile_layers, compiling
from hypertok.training.data import Blocks
from hypertok.training.loss import LossModel
from hypertok.training.options import TrainOptions
from hypertok.training.peak import Peak
from hypertok.training.precision import settled
from hypertok.training.reading import ReadingBlocks
from hypertok.training.reading_loss import ReadingModel
from hypertok.training.repeating import BETWEEN, RepeatingBlocks
from hypertok.training.run_texts import ids_in_use, read_blocks
from hypertok.training.tensorboard import require_tensorboard, tensorboard
from hypertok.training.trainer import RowsTrainer, arguments
from hypertok.training.work_folder import (
    begin,
    finished,
    identity,
    mean_loss,
    refuse_other_run,
    refuse_output,
    told_beginning,
    work_of,
    written,
)

#: Held-out characters that are evaluated on while training, unless told otherwise.
HELD_OUT_CHARACTERS = 200_000
_PROBE = 16


@dataclass(frozen=True)
class TrainResult:
    """What came out.

    Attributes:
        folder: adapter, new rows, log and manifest.
        manifest: of the folder; its facts hold the figures. `peak_memory` is in bytes, of the last start and of the
            first process; see `Peak` for what of.
        loss: mean loss per token of all training steps, in nats; of `reading` the mean divergence.
        eval_bpc: bits per character of the held-out text; None without one, and of `reading`, whose
            `manifest.facts["eval_loss"]` is the divergence on it.
    """

    folder: Path
    manifest: Manifest
    loss: float
    eval_bpc: float | None


def train(
    model_folder: Path | str,
    data: Path | str,
    output: Path | str,
    options: TrainOptions | None = None,
    *,
    held_out: Path | str | None = None,
    held_out_characters: int = HELD_OUT_CHARACTERS,
    resume: bool = False,
    progress: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    skipped: Skipped | None = None,
    tell: Callable[[str], None] | None = None,
) -> TrainResult:
    """Train new rows and an adapter.

    It seeds the generators of Python, NumPy and torch, and on a CPU has the process keep the memory that it frees.

    Args:
        model_folder: an extended model, or a stock one (an adapter alone then).
        data: texts, as `hypertok build-lexicon` takes them.
        output: folder to write.
        options: everything else.
        held_out: texts to evaluate on; none of them may be among `data`.
        held_out_characters: how many characters of it are read.
        resume: go on from the last checkpoint of the same run, if there is one; a run that is done stays as it is.
        progress: show a bar with the time left.
        callbacks: further ones for the loop.
        skipped: told path and reason of each file of texts that is left out; of some more than once.
        tell: told in one line, by the first process, what is about to be done.

    Raises:
        InputError: the text is too short or holds held-out documents, the output lies inside it, model and tokenizer do
            not belong together, the context is too long for the model, its layers cannot be compiled here, there is too
            little memory or disk, or nothing to evaluate on where options ask for it.
        ArtifactError: `output` is something else, an unfinished run is in the way, or another process trains into it.
        Diverged: the loss is no number any more; the message names the last good checkpoint.
    """
    options, output = settled(options or TrainOptions()), Path(output).absolute()
    named = work_of(output)
    work = named.resolve()  # it may be a link to another disk
    first, ranks = os.environ.get("RANK", "0") == "0", int(os.environ.get("WORLD_SIZE", "1"))
    for texts in (data, held_out):
        if texts is not None:
            refuse_inside(output, texts)
    require_tensorboard(options)
    if options.evaluate_every and held_out is None:
        raise InputError(
            "evaluate_every (--set evaluate_every=N): there is no held-out text to evaluate on; name some with "
            "--held-out, or leave it out"
        )
    with alone(named) if first else nullcontext():  # beside a link, not where it leads
        if first:
            refuse_output(output, work, resume=resume)
        pair = Pair.open(model_folder)
        if options.rows_only and not pair.new_ids:
            given = "reading (--reading)" if options.reading else "rows_only (--rows-only)"
            raise InputError(
                f"{pair.folder}: a stock model has no new rows, and {given} trains nothing else; leave it out to train "
                f"an adapter, or extend the model first: hypertok extend {quoted(pair.folder)} notes.lexicon -o OUTPUT"
            )
        spelling = pair.spelling if options.reading else None
        check_kind(pair.folder)
        check_positions(pair.folder, options.context)
        cpu = options.device == "cpu" or not torch.cuda.is_available()
        spread = ranks if os.environ.get("ACCELERATE_USE_FSDP") == "true" else 1
        needs = estimate(pair, options, spread, cpu=cpu)
        maybe_done = resume and not work.exists() and output.exists()
        if not maybe_done:  # before the texts are read, which may take long
            check_room(needs, work, cpu=cpu, written=written(work))
        if cpu:
            keep_freed_memory()
        blocks, held = read_blocks(
            pair, data, held_out, held_out_characters, options, ranks, beside=output.parent, skipped=skipped
        )
        if spelling is not None:
            blocks = ReadingBlocks.of(blocks, spelling, seed=options.seed, fill=options.batch * ranks)
            held = None if held is None else ReadingBlocks.of(held, spelling, seed=None)
        elif options.repeats:
            between = tuple(pair.tokenizer.encode_batch([BETWEEN], add_special_tokens=False)[0])
            blocks = RepeatingBlocks.of(blocks, options.repeats, between, seed=options.seed, fill=options.batch * ranks)
        run = identity(pair, blocks, held, options, ranks)
        if maybe_done and (done_before := finished(output, run)):
            if first:
                discard(work)  # what a kill at its very end has left
            return TrainResult(output, done_before, done_before.facts["loss"], done_before.facts.get("eval_bpc"))
        kept = checkpoints(options, len(blocks), ranks)
        check_room(needs, work, cpu=cpu, written=written(work), checkpoints=kept)
        if first:
            refuse_other_run(work, run)
        peak = Peak.begin(None if cpu else own_gpu())
        set_seed(options.seed)
        model = prepare(pair, options, blocks)
        args = arguments(options, work, cpu=cpu, evaluates=held is not None)
        if args.n_gpu > 1:
            # Several GPUs are for accelerate launch; threads over them would copy the model in every step.
            args._n_gpu = 1
        logs = [Schedule(evaluates=held is not None), LogFile(work / LOG, blocks), *tensorboard(args, output, first)]
        logs += [*([Bar()] if progress and first else []), *callbacks]
        kind = ReadingModel if options.reading else LossModel
        whole = kind(model, options.loss_chunk, ids_in_use(blocks, held, spelling) if options.cut_head else None)
        with full_gpu_told(
            f"free it of other programs and start again (with --resume, if {work} is there), or {LESS_MEMORY} (and "
            f"remove {work} first)"
        ):
            trainer = RowsTrainer(whole, args, options, blocks, held, logs)
            trainer.remove_callback(PrinterCallback)
            facts = _facts(whole, blocks, held, ranks, args.device)  # now: FSDP takes the parameters apart
            checkpoint = begin(work, output, run) if first else last_checkpoint(work) if resume else None
            if first and tell is not None:
                number = steps(options, len(blocks), ranks)
                tell(told_beginning(work, number, blocks.characters * blocks.epochs, checkpoint, resume=resume))
            with compiling(options):
                done = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            metrics = trainer.judged() if held is not None else {}
            state = trainer.trained(rows=True)
        if first:  # alone: the log lies in the work folder, which is removed in the end
            loss = mean_loss(work / LOG, checkpoint, done.global_step, trainer.total_loss)
            facts |= {**metrics, "loss": loss, "steps": done.global_step, "peak_memory": peak.bytes()}
            _write(output, work, model, state, pair, run, options, facts, blocks.documents)
        trainer.accelerator.wait_for_everyone()
        manifest = read_manifest(output, TRAINED)
        return TrainResult(output, manifest, manifest.facts["loss"], metrics.get("eval_bpc"))


def prepare(pair: Pair, options: TrainOptions, blocks: Blocks) -> Any:
    """The model ready to be trained: everything frozen but the new rows and the adapter; its head checked.

    Raises:
        InputError: the model is of a kind that hypertok cannot train.
    """
    model = pair.load(options.dtype)
    model.requires_grad_(False)
    if pair.new_ids:
        split_shared_rows(model, pair.new_ids, pair.units, options.rows)
    if options.reading and (written := new_rows(model).get("output")):
        written.requires_grad_(False)  # nothing is learned of what is never predicted
    check_head(model, torch.from_numpy(blocks.tokens[:_PROBE].astype("int64"))[None])
    if not options.rows_only:
        model = add_adapter(model, options.lora)
    if options.recompute:
        _recompute(model)
    if options.compile:
        compile_layers(model)
    return model


def _recompute(model: Any) -> None:
    """Let the layers make their activations again in the backward pass."""
    how = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # its name in newer releases of transformers
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
    else:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)


def _facts(whole: LossModel, blocks: Blocks, held: Blocks | None, ranks: int, device: torch.device) -> dict[str, Any]:
    rows = {side: list(module().shape) for side, module in new_rows(whole.model).items()}
    facts: dict[str, Any] = {
        "characters": blocks.characters,
        "tokens": len(blocks.tokens),
        "documents": len(blocks.documents),
        "blocks": blocks.blocks,
        "new_rows": rows,
        "adapter": has_adapter(whole.model),
        "trained": sum(p.numel() for p in whole.parameters() if p.requires_grad),
        "processes": ranks,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "logits": whole.logits,
    }
    commit, dirty = code_state()
    if commit is not None:
        facts |= {"commit": commit, "dirty": dirty}
    return facts if held is None else {**facts, "held_out_characters": held.characters}


def _write(
    output: Path,
    work: Path,
    model: Any,
    state: dict[str, Tensor],
    pair: Pair,
    run: dict[str, Any],
    options: TrainOptions,
    facts: dict[str, Any],
    documents: Iterable[int],
) -> None:
    with writing(output, TRAINED) as folder:
        save_trained(model, folder, state)
        shutil.copyfile(work / LOG, folder / LOG)
        write_seen(folder, documents)
        seal(
            folder,
            TRAINED,
            parents=run["parents"],
            recipe={"model": str(pair.folder.resolve()), "options": options.model_dump(mode="json")},
            versions=run["versions"],
            facts=facts,
        )
    discard(work)
