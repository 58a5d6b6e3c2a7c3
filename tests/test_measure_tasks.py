"""What models do: emit new units, repeat passages, tell right sentences from wrong ones, and how fast they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES
from measured_models import able, taught, tiny_subject

from hypertok.errors import InputError
from hypertok.measure import minimal_pairs
from hypertok.measure.coding import load_coding
from hypertok.measure.copy_task import MARKER, Copied, measure_copy
from hypertok.measure.emission import measure_emission
from hypertok.measure.generate import generate
from hypertok.measure.minimal_pairs import MinimalPair, measure_pairs, read_pairs
from hypertok.measure.passages import passages, sentence_ends
from hypertok.measure.quality import DocumentBits, Quality
from hypertok.measure.speed import measure_speed
from hypertok.measure.subject import Subject

LINES = [line for line in SENTENCES.splitlines() if len(line) > 60]


@pytest.fixture
def subject(sound_extension: Path, tmp_path: Path) -> Subject:
    """An untaught extended model."""
    return tiny_subject(tmp_path / "model", sound_extension)


def test_generation_is_what_the_model_finds_likeliest(subject: Subject) -> None:
    prompts = [[600, *subject.coding.encode(line)] for line in ("Печень", "Весной вода в реке поднялась", "О")]
    found = generate(subject, prompts, tokens=6, whole_length=True)
    for prompt, ids in zip(prompts, found, strict=True):
        row = list(prompt)
        for _ in range(6):
            with torch.no_grad():
                logits = subject.model(input_ids=torch.tensor([row])).logits[0, -1]
            logits[600] = float("-inf")  # the end of text is forbidden
            row.append(int(logits.argmax()))
        assert ids == row[len(prompt) :]


def test_sampling_follows_the_seed_and_not_the_folder(subject: Subject) -> None:
    state = torch.random.get_rng_state()
    prompts = [[600, 5], [600, 7]]
    first = generate(subject, prompts, tokens=12, seed=1, whole_length=True)
    assert first == generate(subject, prompts, tokens=12, seed=1, whole_length=True)
    assert first != generate(subject, prompts, tokens=12, seed=2, whole_length=True)
    assert torch.equal(state, torch.random.get_rng_state())
    subject.model.generation_config.update(top_k=1, temperature=0.1, repetition_penalty=5.0)
    assert first == generate(subject, prompts, tokens=12, seed=1, whole_length=True)
    assert [len(ids) for ids in first] == [12, 12]


@pytest.mark.parametrize("seed", [None, 1])
def test_nothing_of_the_folders_settings_reaches_generation(subject: Subject, seed: int | None) -> None:
    """A setting that we do not name ourselves, too: transformers takes those from the model."""
    prompts = [[600, 5], [600, 7]]
    plain = generate(subject, prompts, tokens=6, seed=seed)
    used = sorted({one for ids in plain for one in ids})
    assert used, "something can be suppressed"
    own = subject.model.generation_config
    own.update(min_p=1.0, typical_p=0.1, epsilon_cutoff=0.5, suppress_tokens=used, bad_words_ids=[[used[0]]])
    assert generate(subject, prompts, tokens=6, seed=seed) == plain
    assert subject.model.generation_config is own
    assert (own.min_p, own.suppress_tokens) == (1.0, used)


def test_the_folders_settings_come_back_after_a_failure(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    own = subject.model.generation_config
    seen = []

    def failing(**arguments: object) -> None:
        seen.append(subject.model.generation_config)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(subject.model, "generate", failing)
    with pytest.raises(RuntimeError, match="out of memory"):
        generate(subject, [[600]], tokens=1)
    assert seen[0] is not own
    assert subject.model.generation_config is own


def test_the_end_of_text_ends_a_text(subject: Subject) -> None:
    model = able(subject)
    ids = [600, *subject.coding.encode("Печень очищает кровь."), 600]
    assert taught(model, [ids]) < 0.05
    assert generate(model, [ids[:3]], tokens=40) == [ids[3:-1]]


def test_passages_are_whole_words_spread_over_the_texts() -> None:
    found = passages([SENTENCES, "мало", SENTENCES], 100, 1000)
    assert all(80 < len(passage) <= 100 and passage in SENTENCES for passage in found)
    words = set(SENTENCES.split())
    assert {word for passage in found for word in passage.split()} <= words
    assert len(found) == len(set(found)) * 2, "both copies are used alike"
    assert len(passages([SENTENCES], 100, 3)) == 3
    assert passages(["слово" * 100], 50, 2) == [("слово" * 10), ("слово" * 10)]
    assert passages(["коротко"], 50, 2) == []


def test_a_model_taught_on_new_units_emits_them_and_one_taught_on_stock_tokens_does_not(
    subject: Subject, small_stock: Path, tmp_path: Path
) -> None:
    texts = [" ".join(LINES[at : at + 2]) for at in (0, 2, 4)]
    stock = tiny_subject(tmp_path / "stock", small_stock).coding
    shares = {}
    for name, encode in (("ours", subject.coding.encode), ("stock", stock.encode)):
        model = able(subject)
        assert taught(model, [[600, *encode(text)] for text in texts]) < 0.3
        found = measure_emission(
            model, texts, samples=3, prompt_characters=70, real_characters=90, new_tokens=24, seed=3
        )
        assert (found.passages, found.generated_tokens) == (3, 72)
        shares[name] = found
    ours, theirs = shares["ours"], shares["stock"]
    assert ours.real_token_share == theirs.real_token_share > 0.08
    assert ours.real_character_share > ours.real_token_share, "units are longer than stock tokens"
    assert ours.generated_token_share > 0.5 * ours.real_token_share
    assert ours.generated_units > 5
    assert theirs.generated_token_share < 0.3 * ours.real_token_share
    assert 0 <= theirs.generated_character_share < 0.2 < ours.generated_character_share <= 1


def test_characters_in_new_units_are_counted_exactly(subject: Subject) -> None:
    text = " ".join(LINES[:6])
    found = measure_emission(
        subject, [text], samples=1, prompt_characters=60, real_characters=len(text) - 60, new_tokens=2
    )
    part = text[sentence_ends(text, 1, 60)[-1] :]
    ids = subject.coding.encode(part)
    new = [one for one in ids if one in subject.coding.new_ids]
    assert (found.real_tokens, found.real_characters) == (len(ids), len(part))
    assert found.real_token_share == pytest.approx(len(new) / len(ids))
    characters = sum(len(subject.coding.decode([one])) for one in new)
    assert found.real_character_share == pytest.approx(characters / len(part))
    assert found.real_units == len(set(new))


def test_no_new_units_or_no_passage_is_refused(subject: Subject, small_stock: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no new units"):
        measure_emission(tiny_subject(tmp_path / "stock", small_stock), [SENTENCES])
    with pytest.raises(InputError, match="no text has 600 characters with"):
        measure_emission(subject, ["мало"])
    with pytest.raises(InputError, match="nothing can be repeated"):
        measure_copy(subject, ["мало"])


def test_an_untaught_model_copies_nothing_and_says_so_in_exact_fields(subject: Subject) -> None:
    text = " ".join(LINES)
    found = measure_copy(subject, [text], samples=3, characters=150)
    assert found.passages == 3
    assert found.exact_passages == 0
    assert 0 <= found.exact_characters < 0.2
    assert 3 * 75 <= found.characters <= 3 * 130
    assert found.interval is not None
    assert found.interval.value == pytest.approx(found.exact_characters)


def test_a_model_taught_to_copy_copies(subject: Subject) -> None:
    passage = "Печень очищает кровь. Врач сказал, что печени нужен покой, и ушёл."
    end = passage.index(".") + 1
    coding, model = subject.coding, able(subject)
    prompt = coding.encode(f"{passage}{MARKER}{passage[:end]}")
    whole = [600, *prompt, *coding.encode(passage[end:]), 600]
    assert taught(model, [whole]) < 0.05
    found = measure_copy(model, [passage], samples=1, characters=len(passage))
    assert found == Copied(1, 1.0, len(passage) - end, 1.0, ((len(passage) - end, len(passage) - end),))
    assert found.interval is None, "there is none of a single passage"
    spoiled = list(whole)
    place = len(prompt) + 1 + 4
    spoiled[place] = coding.encode("7")[0]
    model = able(subject)
    assert taught(model, [spoiled]) < 0.05
    found = measure_copy(model, [passage], samples=1, characters=len(passage))
    right = len(coding.continuation(prompt, spoiled[len(prompt) + 1 : place]))
    rest = len(passage) - end
    assert found == Copied(1, 0.0, rest, pytest.approx(right / rest), ((right, rest),))


def test_speed_counts_characters(subject: Subject) -> None:
    found = measure_speed(subject, [SENTENCES], characters=300, new_tokens=8, repeats=2)
    assert [one.batch for one in found] == [1, 8]
    tokens = len(subject.coding.start) + len(subject.coding.encode(SENTENCES[:300]))
    for one in found:
        assert (one.prefill_characters, one.prefill_tokens, one.new_tokens) == (300, tokens, 8)
        assert one.prefill_characters_per_second / one.prefill_tokens_per_second == pytest.approx(300 / tokens)
        assert one.generated_tokens_per_second > 0
        assert one.counted_tokens == (1 + 8) * 2 * 8, "of both batches and both runs"
    per_token = {one.generated_characters_per_second / one.generated_tokens_per_second for one in found}
    assert max(per_token) == pytest.approx(min(per_token)), "of what the model writes, not of what it wrote in one run"
    with pytest.raises(InputError, match="no text to time"):
        measure_speed(subject, [""])


def test_planted_preferences_show_by_phenomenon(subject: Subject) -> None:
    good = ["Кот спит.", "Вода поднялась.", "Печень очищает кровь.", "Мать любит печь."]
    bad = ["Кот спят.", "Вода поднялся.", "Печень очищаем кровь.", "Мать люблю печь."]
    pairs = [MinimalPair(a, b, "agreement") for a, b in zip(good[:3], bad[:3], strict=True)]
    pairs += [MinimalPair(bad[3], good[3], "government"), MinimalPair("Кот спит.", "Кот спят.", "government")]
    model = able(subject)
    assert taught(model, [[600, *subject.coding.encode(text)] for text in good]) < 0.5
    found = measure_pairs(model, pairs)
    assert (found.pairs, found.correct, found.accuracy) == (5, 4, 0.8)
    assert found.right == (True, True, True, False, True)
    assert [(one.name, one.pairs, one.correct, one.accuracy) for one in found.phenomena] == [
        ("agreement", 3, 3, 1.0),
        ("government", 2, 1, 0.5),
    ]
    swapped = measure_pairs(model, [MinimalPair(pair.rejected, pair.chosen, pair.phenomenon) for pair in pairs])
    assert swapped.right == tuple(not one for one in found.right)
    with pytest.raises(InputError, match="no minimal pairs"):
        measure_pairs(model, [])


def test_a_tie_is_no_right_answer(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    tied = Quality.of([DocumentBits(5.0, 9, 3)] * 2, 512, 128)
    monkeypatch.setattr(minimal_pairs, "measure_quality", lambda *given, **named: tied)
    found = measure_pairs(subject, [MinimalPair("Кот спит.", "Кот спят.", "agreement")])
    assert (found.pairs, found.correct, found.right) == (1, 0, (False,))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"chosen": "А", "rejected": "Б", "phenomenon": "вид", "paradigm": "п"}, MinimalPair("А", "Б", "вид")),
        (
            {"sentence_good": "А", "sentence_bad": "Б", "linguistics_term": "вид", "UID": "п"},
            MinimalPair("А", "Б", "вид"),
        ),
        ({"source_sentence": "А", "target_sentence": "Б", "PID": "п"}, MinimalPair("А", "Б", "п")),
        ({"chosen": "А", "rejected": "Б"}, MinimalPair("А", "Б", "all")),
    ],
)
def test_columns_go_by_their_usual_names(line: dict[str, str], expected: MinimalPair, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n\n", encoding="utf-8")
    assert read_pairs(tmp_path / "pairs.jsonl") == [expected]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("inside", ["\u2028", "\u2029", "\u0085"])
def test_lines_end_at_line_feeds_alone(inside: str, end: str, tmp_path: Path) -> None:
    line = f'{{"chosen": "Кот{inside}спит.", "rejected": "Кот{inside}спят."}}'
    (tmp_path / "pairs.jsonl").write_bytes(f"{line}{end}{line}{end}".encode())
    assert read_pairs(tmp_path / "pairs.jsonl") == [MinimalPair(f"Кот{inside}спит.", f"Кот{inside}спят.", "all")] * 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no pairs in it"),
        ('{"chosen": "А"', ":1: no JSON"),
        ('{"chosen": "А", "rejected": "Б"}\n{"good": "А"}', ":2: needs two different sentences"),
        ('{"chosen": "А", "rejected": "А"}', "two different"),
        ("[1]", "two different"),
    ],
)
def test_files_that_are_no_pairs_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "pairs.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "none.jsonl")


def test_the_shared_pairs_are_read(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "rublimp" / "pairs_valid.jsonl")
    assert len(pairs) == 5503
    assert len({pair.phenomenon for pair in pairs}) == 12


def test_load_coding_needs_no_model_in_memory(sound_extension: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    tiny_subject(folder, sound_extension)
    (folder / "model.safetensors").unlink()
    assert load_coding(folder).encode("Печень")
