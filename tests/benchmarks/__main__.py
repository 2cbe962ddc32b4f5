"""`python -m tests.benchmarks [NAME ...]`: print the tables of the documentation, all or some."""

import importlib
import sys

NAMES = (
    *("accuracy", "learned", "laws", "overhead", "wall", "plugins", "demo"),
    *("pairs", "moons", "plans", "start", "steps", "shared", "memory", "stall"),
    *("evaluate", "csv"),
)


if __name__ == "__main__":
    wanted = sys.argv[1:] or NAMES
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"No benchmark {', '.join(sorted(unknown))}. Known: {', '.join(NAMES)}.")
    for name in wanted:
        importlib.import_module(f"tests.benchmarks.{name}").run()
