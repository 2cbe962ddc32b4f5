"""`python -m tests.benchmarks [accuracy | overhead | demo ...]`: print the tables of the docs."""

import importlib
import sys

NAMES = ("accuracy", "overhead", "demo")

if __name__ == "__main__":
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}. Known: {', '.join(NAMES)}.")
    for name in wanted:
        importlib.import_module(f"tests.benchmarks.{name}").run()
