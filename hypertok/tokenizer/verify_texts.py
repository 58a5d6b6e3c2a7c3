"""The texts that an extended tokenizer is verified on: samples, source code, random strings, sentences around units.

All of it is made here or is at hand wherever Python runs; random strings are the same in every run.
"""

from __future__ import annotations

import random
import re
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypertok.corpus.encodings import explain
from hypertok.corpus.sources import Skipped, printable
from hypertok.errors import InputError

#: Of the Python standard library: files and characters at most. 5M characters of source are most of the running time.
LIBRARY_FILES, LIBRARY_CHARACTERS = 200, 5_000_000
#: Random strings of each strategy.
RANDOM_TEXTS = 1_000
SEED = 53
#: A Cyrillic letter or mark of any language; a text without one must be cut exactly as before.
CYRILLIC = re.compile("[\u0400-\u052f\u1c80-\u1c8f\u1d2b\u1d78\u2de0-\u2dff\ua640-\ua69f\U0001e030-\U0001e08f]")

SAMPLES = (
    "The quick brown fox doesn't jump; it's 12 o'clock, and we'd rather wait. I'LL SEE — naïve café, co-op, e.g. 3.14.",
    "El niño comió piñas en el jardín. Der Fuß größer als Maß, Übergröße! À bientôt, cœur brisé… Łódź, žluťoučký kůň.",
    "天地玄黄,宇宙洪荒。我们今天学习分词器:它把文字切成小块,然后交给模型。「你好」——她说。1234年。",
    "今日はいい天気ですね。カタカナとひらがな、漢字もあります。 오늘은 날씨가 좋습니다. 한국어 문장입니다!",
    "السلام عليكم ورحمة الله. هذا نصٌّ عربيٌّ مُشَكَّل، فيه أرقام ١٢٣٤ وعلامات؟ שלום עולם, זהו משפט בעברית.",
    "नमस्ते दुनिया, यह हिन्दी है। สวัสดีชาวโลก ภาษาไทยไม่มีช่องว่าง Ελληνικά με τόνους, ქართული ენა, Հայերեն։",
    "🙂👩‍👩‍👧‍👦🏳️‍🌈👍🏽 ☕️→🚀!!! 🇷🇺🇫🇷 ❤️‍🔥 ©®™ ½ ² № ∑∫√∞ ≤≥ ♠♣ │┌┐ ▁▂▃ 𝔘𝔫𝔦 ﬁ ﷽",
    "def f(x: int, *rest, **more) -> int:\n    '''Doc.'''\n\treturn (x + 1) if x != 0 else ~x  # 0xFF_FF\n",
    '<div class="a">&nbsp;{{ x }}</div>\r\n\r\n{"key": [1, 2.5e-3], "b": "\\u0041\\n"}\n#include <a.h>\n$ rm -rf ./*\n',
    "0 00 123 1234567890 1,234,567.89 -5 +7 1e10 2026-11-22 17:40:05 192.168.0.1 ٣٤ ४५ Ⅷ ① 1/2",
    " \n  \n\t\t\n\r\n \r \x0b\x0c a  b   c\u00a0d\u2003e\u200bf\u3000g\u2028h\u2029i\ufeffj\u0085k  ",
    "e\u0301 a\u0308\u0323 n\u0303 q\u0307\u0323 \u0301x Å \u1e9b\u0323 \u0915\u093c \u1112\u1161\u11ab z\u0335",
    "",
    " ",
    "\n",
    "\0\x01\x7f\x80\x9f\ufffd\ufffe\U0010ffff\ue000\uf8ff",
    "Цикл Кребса происходит в митохондриях, в том числе — в печени; врач сказал, что нужен покой: так и было.",
    "— Да? — Нет!.. «Ёлка», (ёлка), [ель]… Кто-то где-то во-первых, из-за чего-либо; Санкт-Петербург.\nНовая строка.",
    "Hello, мир! Файл main.py содержит функцию f(x), а в README есть пример: `pip install` и т. д. 5-й класс, 20%.",
    "в 2024году, т.е.2025 г.;слово,слово , слово:слово:  слово  слово\tслово\nслово\r\nслово - слово -слово- слово",
    "за\u0301мок, замо\u0301к, и\u0306 е\u0308 Й\u0301 й\u0306 мама\u0301 папа'я м'ята д’Артаньян о'кей под'езд l'мама",
    "Українська мова, їжак і ґанок; Беларуская ўжо; Ђоко Његош; Қазақ тілі өте әдемі; ѣ ѳ ѵ Ѫ; словѣнскъ",
    "ПРИВЕТ Привет приВЕТ ЭВМ, НАТО И ООН; иПад ВКонтакте ЛаТеХ маmа cлово (с латинской c) СССР-США 1мама мама2",
    "да-да-да-да, нет-нет; " * 12 + "а б в г д е ж з и к л м н о п р с т у ф х ц ч ш щ ъ ы ь э ю я " * 3,
    "слово" * 60 + " " + "и" * 200 + " , , , ; ; : : — — - - " + "что, " * 40,
)

_JOINS = (
    " ",
    " ",
    " ",
    ", ",
    ", ",
    "; ",
    ": ",
    " — ",
    " – ",
    " - ",
    "-",
    ",",
    ".",
    ". ",
    "! ",
    "\n",
    "\r\n",
    "  ",
    "\t",
)
_JUNK = (
    *("'", "’", "\u0301", "\u00a0", "«", "»", "(", ")", "…", "0", "12", "x", "The", "s", "'s", "_", "*", "/", "\\"),
    *("\0", "№", "🙂", "中", "ش", "\ufeff", "\u200d", "\u2028", "—", "--", "...", ".\n", ",\n", "ї", "ѣ"),
)
_LETTERS = "".join(map(chr, range(0x410, 0x450))) + "ёЁ"
_BLOCKS = (
    *((0x20, 0x7F), (0xA0, 0x250), (0x250, 0x370), (0x370, 0x400), (0x400, 0x530), (0x530, 0x600), (0x600, 0x700)),
    *((0x900, 0x980), (0xE00, 0xE80), (0x10A0, 0x1100), (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2070)),
    *((0x2190, 0x2600), (0x2600, 0x27C0), (0x3000, 0x3100), (0x4E00, 0x9FFF), (0xAC00, 0xD7A4), (0xE000, 0xE500)),
    *((0xF900, 0xFB00), (0xFB00, 0xFE10), (0xFF00, 0xFFF0), (0x1D400, 0x1D800), (0x1F300, 0x1FAFF), (0x20000, 0x20100)),
)


@dataclass(frozen=True)
class Text:
    """One text to check on and where it is from: "samples", "library", "random" or "files"."""

    source: str
    content: str

    def __len__(self) -> int:
        """Its characters."""
        return len(self.content)


def library_texts() -> Iterator[Text]:
    """Source files of the Python standard library, spread evenly over it; none where Python has no sources."""
    folder = Path(sysconfig.get_path("stdlib"))
    files = [*sorted(folder.glob("*.py")), *sorted(folder.glob("*/*.py"))]
    files = [file for file in files if not file.parent.name.endswith("-packages")]
    left = LIBRARY_CHARACTERS
    for file in files[:: max(1, -(-len(files) // LIBRARY_FILES))]:
        content = _read(file)
        if content and len(content) <= left:
            left -= len(content)
            yield Text("library", content)


def file_texts(path: Path, skipped: Skipped | None = None) -> Iterator[Text]:
    """The files in a folder, hidden ones aside, or one file, read plainly as UTF-8.

    Args:
        skipped: told path and reason of each file that is passed over: it is not UTF-8, or cannot be read.

    Raises:
        InputError: there is no such path, or no file of it is UTF-8.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder of texts; check the name")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = False
    for file in files:
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        content = _read(file, skipped)
        if content is not None:
            found = True
            yield Text("files", content)
    if not found:
        raise InputError(f"{path}: holds no UTF-8 text; name a folder of plain text files")


def _read(path: Path, skipped: Skipped | None = None) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        reason = "not UTF-8"
    except OSError as error:
        reason = explain(error)
    if skipped:
        skipped(printable(str(path)), reason)
    return None


def random_texts(words: Sequence[str], tokens: Sequence[str], number: int = RANDOM_TEXTS) -> Iterator[Text]:
    """Random strings of seven kinds, `number` of each, always the same.

    Args:
        words: Russian text that the tokenizer has tokens for, units and stock tokens.
        tokens: text of stock tokens of any script, special ones too.
        number: strings of each kind.
    """
    chance = random.Random(SEED)
    some = chance.choice
    words, tokens = words or ("слово",), tokens or ("word",)

    def anything() -> str:
        plane = some((0x80, 0x800, 0x10000, 0x10000, 0x110000))
        code = chance.randrange(plane)
        return chr(code) if not 0xD800 <= code < 0xE000 else "\ufffd"

    def script() -> str:
        first, last = some(_BLOCKS)
        begin = chance.randrange(first, max(first + 1, last - 100))
        letters = [chr(code) for code in range(begin, min(begin + 100, last))]
        return " ".join(
            "".join(some(letters) for _ in range(chance.randint(1, 9))) for _ in range(chance.randint(1, 6))
        )

    def letter() -> str:
        return some(_LETTERS) if chance.random() < 0.75 else some((*_JOINS, *_JUNK))

    def word() -> str:
        chosen = some(words)
        return chosen if chance.random() < 0.8 else some((chosen.upper(), chosen.title(), chosen.strip(), chosen[:-1]))

    def between() -> str:
        return some(_JOINS) if chance.random() < 0.75 else some(_JUNK)

    def cut() -> str:
        sample = some(SAMPLES)
        begin = chance.randrange(len(sample) + 1)
        return sample[begin : begin + chance.randint(1, 30)]

    for _ in range(number):
        yield Text("random", "".join(anything() for _ in range(chance.randint(1, 40))))
        yield Text("random", script())
        yield Text("random", "".join(letter() for _ in range(chance.randint(1, 60))))
        yield Text("random", "".join(word() + between() for _ in range(chance.randint(1, 12))))
        yield Text("random", some(_JOINS).join(word() for _ in range(chance.randint(2, 70))))
        yield Text("random", "".join(cut() for _ in range(chance.randint(2, 5))))
        yield Text("random", "".join(some(tokens) for _ in range(chance.randint(1, 10))))


#: What stands before and after a unit. In a run of words: a word of one letter, tried in turn, as few units hold each.
_RUN_BEFORE = ("1 ъ", "1\n", "1 ы", "1 Щ", "1 ё", "1 ф", "1 ъ ", "1 ъ, ", "1 э-", "1 Ю", "1 ь", "1 й")
_RUN_AFTER = (" ъ.", "ъ.", ", ъ.", " ф.", "-ъ.")
_BEFORE, _AFTER = ("В 2024", "Так:\n", "(", "x ", "«ъ", "ъ"), (".", "\n", " 1", "1", "», ", "ъ")


def carriers(span: str) -> Iterator[tuple[str, str]]:
    """Text to put before and after a unit, in the order to try; for span "phrase" other words of a run come first."""
    if span == "phrase":
        yield from ((before, after) for after in _RUN_AFTER for before in _RUN_BEFORE)
    yield from ((before, after) for after in _AFTER for before in _BEFORE)


class Completions:
    """Finds text for units that begin or end inside a character, from the characters of the other units."""

    def __init__(self, texts: Iterable[str]) -> None:
        characters = sorted({character for text in texts for character in text} | set(_LETTERS))
        self._begins: dict[bytes, list[bytes]] = {}
        self._ends: dict[bytes, list[bytes]] = {}
        for character in characters:
            raw = character.encode()
            for cut in range(1, len(raw)):
                self._begins.setdefault(raw[cut:], []).append(raw[:cut])
                self._ends.setdefault(raw[:cut], []).append(raw[cut:])

    def of(self, raw: bytes, limit: int = 256) -> list[str]:
        """Texts, `limit` at most, that hold these bytes; none if no character is known to complete them."""
        begin = next((at for at, byte in enumerate(raw) if byte & 0xC0 != 0x80), len(raw))
        end = next((at for at in range(len(raw), max(len(raw) - 4, 0), -1) if _ends_whole(raw[begin:at])), begin)
        found: list[str] = []
        befores = self._begins.get(raw[:begin], ()) if begin else (b"",)
        for before in befores:
            for after in self._ends.get(raw[end:], ()) if end < len(raw) else (b"",):
                found.append((before + raw + after).decode("utf-8", "replace"))
                if len(found) == limit:
                    return found
        return found


def _ends_whole(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
