"""Bytes to text: encodings are named, binary files are told from text, mojibake is undone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypertok.corpus import encodings
from hypertok.corpus.mojibake import misreadings, repair_mojibake

SENTENCES = (
    "Печень очищает кровь и запасает гликоген.",
    "В оперативной памяти хранятся данные работающих программ.",
    "Бабушка поставила на стол тёплый хлеб с мёдом и ушла в сад.",
    "Роман вышел отдельной книгой, и в столицах о нём заговорили.",
    "Где живёт ёж, там и его нора; рядом шумит быстрая река.",
    "Цикл Кребса происходит в митохондриях клетки.",
    "Съешь ещё этих мягких французских булок, да выпей чаю.",
    "ГОСТ требует, чтобы СССР писали без точек — так решил комитет.",
    "Функция возвращает список, если аргумент не задан явно.",
    "Утром подул ветер, и с яблонь полетел белый цвет.",
)
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
#: Small letters of mac-cyrillic are those of cp1251, which wins a draw.
SURE = tuple(name for name in encodings.SINGLE_BYTE if name != "mac-cyrillic")


def passages(length: int, count: int) -> list[str]:
    draw = random.Random(length)
    text = " ".join(SENTENCES)
    starts = [draw.randrange(len(text) - length) for _ in range(count)]
    return [text[start : start + length] for start in starts]


@pytest.mark.parametrize("encoding", [*UNICODE, *SURE])
@pytest.mark.parametrize("length", [20, 50, 200])
def test_russian_passages_are_identified(encoding: str, length: int) -> None:
    wrong = []
    for passage in passages(length, 200):
        data = passage.replace("—", "-").encode(encoding)
        if encodings.detect_encoding(data) != encoding:
            wrong.append(passage)
    assert len(wrong) <= 2, wrong  # one per cent of the shortest


def test_longer_passages_of_a_mac_are_identified() -> None:
    found = [
        encodings.detect_encoding(passage.replace("—", "-").encode("mac-cyrillic")) for passage in passages(200, 200)
    ]
    assert {*found} <= {"mac-cyrillic", "cp1251"}
    assert found.count("mac-cyrillic") >= 150


@given(st.permutations(SENTENCES), st.sampled_from(SURE), st.booleans())
@settings(max_examples=100)
def test_order_case_and_line_ends_do_not_matter(parts: list[str], encoding: str, upper: bool) -> None:
    text = "\r\n".join(parts).replace("—", "-")
    assert encodings.detect_encoding((text.upper() if upper else text).encode(encoding)) == encoding


@given(st.lists(st.sampled_from(SENTENCES), min_size=1), st.integers(min_value=1, max_value=9))
def test_decoding_in_blocks_is_decoding_at_once(parts: list[str], size: int) -> None:
    text = " ".join(parts)
    for encoding in ("utf-8", "utf-16", "cp1251"):
        data = text.encode(encoding)
        blocks = (data[i : i + size] for i in range(0, len(data), size))
        assert "".join(encodings.decode_blocks(blocks, encoding)) == text


def test_every_byte_of_cp1251_is_decoded() -> None:
    data = bytes(range(128, 256))  # 0x98 is nothing in cp1251, and yet it turns up
    text = "".join(encodings.decode_blocks([data], "cp1251"))
    assert "\ufffd" not in text
    assert len(text) == len(data)


def test_a_few_broken_bytes_do_not_change_the_encoding() -> None:
    data = " ".join(SENTENCES).encode()
    assert encodings.detect_encoding(data[:-1] + b"\xff" + data[:101]) == "utf-8"


def test_cp1251_that_begins_like_utf16() -> None:
    assert encodings.detect_encoding("яюшки-баюшки, спи, усни".encode("cp1251")) == "cp1251"


@pytest.mark.parametrize("text", ["Le garçon a été gêné à l'école.", "Schöne Grüße aus Köln, Übermut"])
def test_western_text_is_not_taken_for_russian(text: str) -> None:
    encoding = encodings.detect_encoding(text.encode("cp1252"))
    assert encoding not in encodings.SINGLE_BYTE


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"%PDF-1.7 text", "PDF"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "zero bytes"),
        (bytes(range(1, 32)) * 20, "control characters"),
        ("Обычный текст.".encode(), ""),
        ("Обычный текст.".encode("utf-16-le"), ""),
        (b"", ""),
    ],
)
def test_binary_is_told_with_a_reason(head: bytes, word: str) -> None:
    reason = encodings.binary_reason(head)
    assert word in reason
    assert bool(reason) == bool(word)


def test_random_bytes_are_binary() -> None:
    for seed in range(20):
        data = random.Random(seed).randbytes(4096)
        assert encodings.binary_reason(data)


MISREAD = {
    "UTF-8 read as cp1251": "sloppy-windows-1251",
    "UTF-8 read as cp1252": "latin-1",
    "UTF-8 read as Mac Roman": "mac_roman",
    "UTF-8 read as cp866": "cp866",
    "UTF-8 read as koi8-r": "koi8-r",
}


def misread(text: str, codec: str) -> str:
    return text.encode().decode(codec)


@pytest.mark.parametrize("name", MISREAD)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_mojibake_is_repaired_and_named(name: str, sentence: str) -> None:
    assert repair_mojibake(misread(sentence, MISREAD[name])) == (sentence, (name,))


def test_every_misreading_is_tested() -> None:
    assert {misreading.name for misreading in misreadings()} == set(MISREAD)


def test_cp1252_with_and_without_controls() -> None:
    for codec in ("latin-1", "sloppy-windows-1252"):
        assert repair_mojibake(misread(SENTENCES[0], codec))[0] == SENTENCES[0]


@pytest.mark.parametrize("name", MISREAD)
def test_only_broken_lines_are_repaired(name: str) -> None:
    broken = misread(SENTENCES[1], MISREAD[name])
    good = "Аббревиатуры «РСФСР» и «СССР» — на месте."
    text = f"{good}\n{broken}\n\n{good}\n{good} {broken} {good}\n"
    repaired, names = repair_mojibake(text)
    assert repaired == text.replace(broken, SENTENCES[1])
    assert names == (name,)


def test_signs_lost_on_the_way_are_guessed() -> None:
    broken = misread("Иван Рабочий: «Привет»", "sloppy-windows-1251")
    flattened = broken.replace("\x98", "?").replace("\u00a0", " ")
    assert repair_mojibake(flattened)[0] == "Иван Рабочий: «Привет»"


@pytest.mark.parametrize(
    "text",
    [
        "РСФСР, СССР, РС и «СССР»",
        "Россия — Сибирь – Русь",
        "связь С–С–С–С–С",
        "Р—Р—Р—Р—",
        "Сёма Рёв СЁМА РЁВ",
        "– © 2024 — ®",
        "Ðað er Ñandú",
        "║ таблица ╬ рамка ╨",
        "plain ASCII",
        "",
    ],
)
def test_real_text_is_left_alone(text: str) -> None:
    assert repair_mojibake(text) == (text, ())


@given(st.text(alphabet="абвгдежзийклмнопрстуфхцчшщъыьэюяёАБВРСТУФЭЮЯ .,!?«»—–-№\n", max_size=200))
def test_russian_text_is_never_changed(text: str) -> None:
    # Pairs such as «Р»С»» need a quotation mark straight after each of two capitals.
    if not any(lead + mark in text for lead in "РС" for mark in "«»—–№ё"):
        assert repair_mojibake(text) == (text, ())


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_repair_never_fails(text: str) -> None:
    repaired, names = repair_mojibake(text)
    assert names or repaired == text
