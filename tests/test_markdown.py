"""Markdown to prose: what counts as words and what does not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypertok.corpus.markdown import MarkdownMask
from hypertok.corpus.prose import blank_addresses, clean
from hypertok.corpus.words import WORD


def prose_words(text: str) -> str:
    return " ".join(WORD.findall(MarkdownMask()(text)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("---\ntitle: Заголовок\ntags: [тег]\n---\nТело", "Тело"),
        ("--- не шапка\nТело\n---\nещё", "не шапка Тело ещё"),
        ("Тело\n---\nещё\n---\n", "Тело ещё"),
        ("---\nПервая часть.\n\n---\nВторая часть.", "Первая часть Вторая часть"),
        ("---\n# заметки\n- список\n---\nТело", "Тело"),
        ("до\n```python\n# комментарий\n```\nпосле", "до после"),
        ("до\n~~~\n```\nкод\n~~~\nпосле", "до после"),
        ("до\n````\n```\nкод\n```\nкод\n````\nпосле", "до после"),
        ("- пункт\n  ```\n  код\n  ```\n- другой", "пункт другой"),
        ("> ```\n> код\n> ```\n> цитата", "цитата"),
        ("до\n```\nкод без конца", "до"),
        ("``` код в строке ``` и слово", "и слово"),
        ("слово `код` слово", "слово слово"),
        ("слово ``код ` код`` слово", "слово слово"),
        ("кавычка ` одна и ещё слово", "кавычка одна и ещё слово"),
        ('[текст](путь/файл.md) и [другой](<путь с пробелом.md> "титул")', "текст и другой"),
        ("[вики](https://ru.example.org/Печень_(орган)) дальше", "вики дальше"),
        ("![подпись](рисунок.png)", "подпись"),
        ("[[Печень]] и [[Почки|почек]]", "Печень и почек"),
        ("[[Органы/Печень#Функции]]", "Органы Печень Функции"),
        ("![[рисунок.png]] ![[Заметка]] слово", "слово"),
        ("> [!важно]- Заголовок\n> Текст", "Заголовок Текст"),
        ("#тег и #мед/органы", "тег и мед органы"),
        ("| орган | вес |\n|---|---|\n| печень | полтора |", "орган вес печень полтора"),
        ("слово[^сноска] дальше\n\n[^сноска]: Текст сноски", "слово дальше Текст сноски"),
        ('[текст][метка]\n\n[метка]: https://пример.рф/путь "титул"', "текст"),
        ("[Иван]: Привет всем", "Иван Привет всем"),
        ("$x = y$ и $$\\int_0^1 f$$ слово", "и слово"),
        ("цена $5 и ещё $6 рублей", "цена и ещё рублей"),
        ("$v_{\\text{тела}}$", "тела"),
        ('<div title="титул">слово</div> <!-- тайна\nтайна --> конец', "слово конец"),
        ("<code>код</code> <PRE class=x>код\nкод</PRE> слово", "слово"),
        ("<code>не закрыт и слово", "не закрыт и слово"),
        ("если a < b и b > c", "если и"),
        ("пусть a <b, тогда больно, если c> d", "пусть тогда больно если"),
        (
            "при t <T плавления металл твёрд\n\nвторой абзац\n\n> цитата",
            "при плавления металл твёрд второй абзац цитата",
        ),
        ('<div\n class="а"\n>слово</div\n>', "слово"),
        ("смотри <https://пример.рф/путь> тут", "смотри тут"),
        ("https://пример.рф/путь, почта вася@пример.рф!", "почта"),
        ("**жирный** и _курсив_ и ~~зачёркнутый~~", "жирный и курсив и зачёркнутый"),
        ("# Заголовок\n\n- [ ] дело\n1. первое", "Заголовок дело первое"),
        ("слово&nbsp;слово &#1087;", "слово слово"),
    ],
)
def test_only_what_is_read_counts(text: str, words: str) -> None:
    assert prose_words(text) == words
    assert prose_words(text.replace("\n", "\r\n")) == words


def test_line_structure_is_kept() -> None:
    text = "---\nа: б\n---\nпервая\n```\nкод\n```\n<!-- т\nт -->\nпоследняя"
    assert MarkdownMask()(text).count("\n") == text.count("\n")


def test_a_fence_stays_open_between_pieces() -> None:
    mask = MarkdownMask()
    assert WORD.findall(mask("до\n```\nкод\n")) == ["до"]
    assert WORD.findall(mask("код\n")) == []
    assert WORD.findall(mask("код\n```\nпосле")) == ["после"]


PIECES = (
    "```",
    "~~~",
    "`",
    "[",
    "]",
    "](",
    "(",
    ")",
    "[[",
    "]]",
    "|",
    "<",
    ">",
    "<!--",
    "-->",
    "$",
    "$$",
    "---",
)
SNIPPETS = st.lists(st.sampled_from((*PIECES, "\n", " ", "слово", "код", "https://а.рф", "@", "#", "!", "^", ":")))


@given(SNIPPETS)
def test_masking_invents_no_words(parts: list[str]) -> None:
    text = "".join(parts)
    prose = MarkdownMask()(text)
    assert set(WORD.findall(prose)) <= set(WORD.findall(text))
    assert prose.count("\n") <= text.count("\n") + 1


OPENINGS = ("[а](", "[а](б ", "[[а", "[[а|", "<a ", "``а`", "$а", "а@", "a.", "а://", "<code>", "[а]:", "![")
MORE = (
    "[^",
    "&a",
    "x" * 10,
    "www.",
    "`а\n",
    "> ",
    "- ",
    "```\n",
    "````а`",
    "хx",
    "и\u0306",
    "\\",
    "](<",
    '](а "',
)


@pytest.mark.parametrize("piece", [*PIECES, *OPENINGS, *MORE])
def test_masking_is_linear(piece: str) -> None:
    assert seconds(piece * (400_000 // len(piece))) < 3.0


def test_a_long_definition_is_read_once() -> None:
    picture = "[рис]: data:image/png;base64," + "iVBOR/" * 70_000
    assert seconds(picture + ' {width="300"}') < 3.0
    assert WORD.findall(MarkdownMask()(f"До\n\n{picture} 'Печень'\n\nпосле")) == ["До", "после"]


def seconds(text: str) -> float:
    """How long masking takes; quadratic behaviour would take minutes on 400,000 characters."""
    start = time.process_time()  # of this process: other programs may have the processor
    clean(MarkdownMask()(text))
    return time.process_time() - start


def test_addresses_in_plain_text() -> None:
    text = "Пиши на вася.пупкин@почта.рф или смотри http://сайт.рф/а?б=в#г (www.сайт.рф), а не тут."
    assert WORD.findall(blank_addresses(text)) == ["Пиши", "на", "или", "смотри", "а", "не", "тут"]


def test_cleaning_composes_and_hides() -> None:
    assert clean("и\u0306од\r\nпе\u00adчень\rЁ") == ("йод\nпечень\nЁ", [])
