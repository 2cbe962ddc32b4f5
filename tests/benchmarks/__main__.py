"""`python -m tests.benchmarks [NAME ...]`: print the tables of the documentation, all or some."""

import argparse
import importlib
import os

NAMES = (
    *("accuracy", "learned", "laws", "overhead", "wall", "plugins", "demo"),
    *("pairs", "moons", "plans", "start", "steps", "shared", "memory", "stall"),
    *("style", "unseen", "defaults", "maps", "study", "evaluate", "csv", "fairness", "pictures"),
    *("site", "migration", "paths", "straight", "bridges", "trajectories"),
)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--data", metavar="DIR", help="folder of data that are not in the package")
    options = parser.parse_args()
    if options.data:
        os.environ["DATA"] = options.data
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}.")
    for name in options.names or NAMES:
        importlib.import_module(f"tests.benchmarks.{name}").run()
