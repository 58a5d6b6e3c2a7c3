"""Time and memory of `hypertok extend` for growing numbers of rows, as a Markdown table.

Every line is a fresh process that learns the units, extends the tokenizer and writes the folder. With `--keep` the
folders stay, for encoding.py. Run it on a machine that does nothing else:

    python benchmarks/extension.py train.lexicon --keep extended/
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import TOKENIZERS, Watch, facts

from hypertok.tokenizer.extend import ExtendOptions, extend

ROWS = (16_000, 32_000, 64_000, 128_000, 250_000)


def one(stock: Path, lexicon: Path, output: Path, rows: int) -> None:
    """Extend once and print the seconds as JSON."""
    start = time.perf_counter()
    ends: dict[str, float] = {}

    def progress(step: str, done: int, total: int) -> None:
        ends[step] = time.perf_counter()

    extend(stock, lexicon, output, ExtendOptions(rows=rows), progress=progress)
    learned = max(ends.values())
    print(json.dumps({"learn": learned - start, "write": time.perf_counter() - learned}))


def line(name: str, lexicon: Path, output: Path, rows: int) -> str:
    """One line of the table, from a fresh process."""
    stock = TOKENIZERS / f"tokenizer-{name}" / "models"
    command = [sys.executable, __file__, str(lexicon), "--one", str(stock), str(output), str(rows)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, Watch(process.pid) as memory:
        printed, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"extending {name} by {rows} rows failed")
    seconds = json.loads(printed)
    size = sum(file.stat().st_size for file in output.iterdir()) / 1e6
    return (
        f"| {name} | {rows:,} | {seconds['learn']:.0f} | {seconds['write']:.1f} | {memory.tree / 2**30:.1f} "
        f"| {size:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lexicon", type=Path)
    parser.add_argument("--tokenizers", nargs="+", default=["qwen3", "gemma3"])
    parser.add_argument("--rows", nargs="+", type=int, default=ROWS)
    parser.add_argument("--keep", type=Path, help="leave the extended tokenizers in this folder, as NAME-ROWS")
    parser.add_argument("--one", nargs=3, metavar=("STOCK", "OUTPUT", "ROWS"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.one:
        one(Path(wanted.one[0]), wanted.lexicon, Path(wanted.one[1]), int(wanted.one[2]))
        return
    print(f"{facts('tokenizers', 'polars')}\n")
    print("| tokenizer | new rows | learned in, s | extended and written in, s | peak memory, GiB | folder, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        place = wanted.keep or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        for name in wanted.tokenizers:
            for rows in wanted.rows:
                print(line(name, wanted.lexicon, place / f"{name}-{rows}", rows), flush=True)


if __name__ == "__main__":
    main()
