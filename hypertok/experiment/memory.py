"""The kind `memory`: what the cache of the same text weighs, stock against extended, computed and measured.

A text of so many stock tokens is taken, the beginnings of held-out documents of every kind one after another; each
extended tokenizer says in how many tokens it reads the same characters. Published models are computed from their
configurations. Of the model at hand fresh processes read the beginning of the text, for each size of `prefill_tokens`
as much of it as that many stock tokens are, with a model in which the new rows lie but are not trained: what they hold
changes no byte of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypertok.errors import ArtifactError, InputError
from hypertok.experiment.arms import Tell, arm_folder, key_of, tokenizer_folder
from hypertok.experiment.definition import Arm, Definition
from hypertok.experiment.inputs import lexicon_hash, model_hashes, needed
from hypertok.experiment.memory_results import STOCK, MemoryResult, MemoryRow, Prefill
from hypertok.experiment.provenance import provenance, without_place
from hypertok.experiment.results import MEMORY, read_memory, write_result
from hypertok.measure.coding import Coding, load_coding
from hypertok.measure.device import device_of
from hypertok.measure.memory import BYTES, configuration_of, measure_prefill, predict_memory
from hypertok.measure.passages import sha256_of_texts
from hypertok.model.config import positions_of, read_config
from hypertok.tokenizer.hyper import HyperTokenizer
from hypertok.tokenizer.kind import padded
from hypertok.tokenizer.plain import PlainTokenizer
from hypertok.tokenizer.stock import Stock

if TYPE_CHECKING:
    from hypertok.corpus.sources import Skipped

#: What the model of `inputs.model` is called in the table.
AT_HAND = "model at hand"
Encode = Callable[[str], list[int]]


@dataclass(frozen=True)
class _Reading:
    """How a tokenizer reads the text, how many new rows it has, and by how many the configuration's model grows."""

    arm: str
    tokens: int
    new_rows: int = 0
    grows: int = 0


def run_memory(
    definition: Definition, output: Path, work: Path, tell: Tell, skipped: Skipped | None = None
) -> MemoryResult:
    """Compute and measure, unless the result of the same inputs is there.

    Args:
        skipped: told path and reason of each held-out file that is left out.

    Raises:
        InputError: an input is missing.
        ArtifactError: the result there is of other inputs.
    """
    from hypertok.training.data import read_texts

    (held_out,) = needed(definition, "held_out")
    # By hash: a folder has one kind of text after the other.
    held = sorted(read_texts(held_out, skipped=skipped), key=lambda text: text.identity)
    texts = [text.text[: definition.measure.document_characters] for text in held]
    hashes = {"held_out": sha256_of_texts(texts)}
    arms = [arm for arm in definition.arms if not arm.stock]
    if arms:
        hashes["lexicon"] = lexicon_hash(*needed(definition, "lexicon"))
    model = definition.inputs.model
    if model is not None:
        hashes |= model_hashes(*needed(definition, "model"))
    if model is None and not definition.memory.models:
        raise InputError(f"experiment {definition.name}: neither inputs.model nor memory.models is given; give one")
    hashes |= {f"tokenizer of {one.name}": _tokenizer_hash(one.tokenizer) for one in definition.memory.models}
    # Results are older than the choice of these; "auto" has the key that it had.
    where = [one for one in (definition.measure.dtype, definition.measure.device) if one != "auto"]
    sizes = definition.memory.prefills
    key = key_of(
        hashes, definition.memory.tokens, sizes[0] if len(sizes) == 1 else sizes or 0, definition.measure.cards,
        [one.config for one in definition.memory.models],
        [[arm.name, arm.init, arm.tokenizer.model_dump(mode="json")] for arm in arms], *([where] if where else []),
    )  # fmt: skip
    before = read_memory(output)
    if before is not None:
        if before.key == key:
            return before
        raise ArtifactError(
            f"{output / MEMORY}: made with other parameters or inputs; name another folder with --output, or remove it"
        )
    maker = _Maker(definition, "\n\n".join(texts), arms, work, hashes, tell)
    rows = maker.at_hand(model) if model is not None else []
    for one in definition.memory.models:
        tell(f"computing {one.name}")
        rows += maker.published(one.name, one.tokenizer, one.config)
    device = device_of(definition.measure.device) if model is not None else "cpu"
    result = MemoryResult(
        key=key, read=maker.most, rows=tuple(rows), skipped=maker.skipped, provenance=provenance(device, hashes)
    )
    write_result(output / MEMORY, result)
    return result


class _Maker:
    """What all rows share."""

    def __init__(
        self, definition: Definition, text: str, arms: list[Arm], work: Path, hashes: Mapping[str, str], tell: Tell
    ) -> None:
        self.definition, self.text, self.arms, self.work = definition, text, arms, work
        self.hashes, self.tell = hashes, tell
        self.skipped: dict[str, str] = {}
        self.most = 0
        self._readings: dict[str, tuple[int, list[_Reading]]] = {}

    def published(self, name: str, tokenizer: Path, config: dict[str, Any]) -> list[MemoryRow]:
        """Rows of a model of which only configuration and tokenizer are known."""
        sha256 = self.hashes[f"tokenizer of {name}"]
        if sha256 not in self._readings:
            stock = PlainTokenizer.of(Stock.load(tokenizer))
            used, characters = self._cut(lambda text: stock.encode_batch([text])[0])
            found = [_Reading(STOCK, self._scaled(stock.encode_batch([used])[0], used, characters))]
            for arm in self.arms:
                (lexicon,) = needed(self.definition, "lexicon")
                made_from = {"tokenizer": sha256, "lexicon": self.hashes["lexicon"]}
                folder = tokenizer_folder(tokenizer, lexicon, arm.tokenizer, self.work, made_from, self.tell)
                extended = HyperTokenizer.from_pretrained(folder)
                tokens = self._scaled(extended.encode_batch([used])[0], used, characters)
                new = len(extended.new_ids)
                found.append(_Reading(arm.name, tokens, new, 0 if arm.tokenizer.replace_unused else new))
            self._readings[sha256] = characters, found
        characters, found = self._readings[sha256]
        return [self._row(name, config, characters, reading) for reading in found]

    def at_hand(self, model: Path) -> list[MemoryRow]:
        """Rows of the model that is here, measured too."""
        from hypertok.model.extend import DEFAULT_INIT
        from hypertok.model.load import check_kind

        check_kind(model)
        folders = {STOCK: model}
        for arm in self.arms:
            plain = arm.model_copy(update={"init": DEFAULT_INIT})  # what the rows hold changes no byte of memory
            lexicon = self.definition.inputs.lexicon
            folders[arm.name] = arm_folder(plain, model, lexicon, self.work, self.hashes, self.tell)
        coding = load_coding(model)
        used, characters = self._cut(coding.encode)
        most = (positions_of(read_config(model)) or 1 << 40) - 1
        sizes = [min(size, most) for size in self.definition.memory.prefills]
        prefixes = dict.fromkeys(_first(coding.encode, used, size) for size in sizes)  # one where the text ends
        rows = []
        for name, folder in folders.items():
            coding = load_coding(folder)
            tokens = self._scaled(coding.encode(used), used, characters)
            reading = _Reading(name, tokens, len(coding.new_ids))  # its configuration has them already
            try:
                row = self._row(AT_HAND, read_config(folder), characters, reading)
            except InputError as error:
                if not self.definition.memory.models:
                    raise
                self.tell(f"{name}: to measure its memory, hypertok measure {folder} --text TEXTS --only memory")
                reason = without_place(error, folder)
                self.skipped[f"memory of {name}"] = f"{reason} (hypertok measure MODEL_DIR --text TEXTS --only memory)"
                continue  # published models have rows
            measured = [found for prefix in prefixes if (found := self._measured(folder, coding, prefix, name))]
            rows.append(row.model_copy(update={"measured": tuple(measured)}))
        return rows

    def _measured(self, folder: Path, coding: Coding, prefix: str, arm: str) -> Prefill | None:
        self.tell(f"{arm}: measuring the prefill of {len(prefix):,} characters")
        ids = [*coding.start, *coding.encode(prefix)]
        measure = self.definition.measure
        predicted = predict_memory(
            read_config(folder),
            characters_per_token=len(prefix) / len(ids),
            bytes_per_element=BYTES.get(measure.dtype),
        )
        cache = predicted.cache_bytes(len(ids))
        try:
            found = measure_prefill(folder, ids, len(prefix), device=device_of(measure.device), dtype=measure.dtype)
        except InputError as error:
            self.skipped[f"prefill of {arm}, {len(prefix):,} characters"] = without_place(error, folder)
            return None
        return Prefill(**asdict(found), predicted_cache=cache, predicted_peak=predicted.weights + cache)

    def _cut(self, encode: Encode) -> tuple[str, int]:
        """The text that is read, and the characters that the wanted number of stock tokens stands for."""
        wanted = self.definition.memory.tokens
        used = _first(encode, self.text, wanted)
        tokens = len(encode(used))
        self.most = max(self.most, len(used))
        return used, len(used) if len(used) < len(self.text) else round(len(used) * wanted / tokens)

    def _scaled(self, ids: list[int], used: str, characters: int) -> int:
        return round(len(ids) * characters / len(used))

    def _row(self, model: str, config: Any, characters: int, reading: _Reading) -> MemoryRow:
        """Computed with the rows that an extended model of this configuration has."""
        rows = None
        if reading.grows:
            stock_rows = configuration_of(config).get_text_config(decoder=True).vocab_size
            rows = padded(stock_rows + reading.grows)
        predicted = predict_memory(
            config, characters_per_token=characters / reading.tokens, rows=rows, new_rows=reading.new_rows
        )
        return MemoryRow(
            model=model,
            arm=reading.arm,
            characters=characters,
            tokens=reading.tokens,
            parameters=predicted.parameters,
            weights=predicted.weights,
            new_rows=predicted.new_rows,
            cache=predicted.cache_bytes(reading.tokens),
            longest=tuple(predicted.longest_context(card) for card in self.definition.measure.cards),
        )


def _first(encode: Encode, text: str, tokens: int) -> str:
    """The beginning of a text that is so many tokens long, about; all of it if it is shorter."""
    low, high = 0, min(len(text), tokens * 16)
    if not tokens:
        return ""
    while high - low > max(1, min(16, tokens // 8)):
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(encode(text[:middle])) <= tokens else (low, middle)
    return text[:high] if high == len(text) else text[:low]


def _tokenizer_hash(folder: Path) -> str:
    return Stock.load(folder).sha256
