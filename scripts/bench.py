"""Measurements: ``scripts/bench.py dns --help``; ``dns`` is what runs without a word. Every ``bench_NAME.py`` beside this file is a subcommand.

Such a module has ``add_arguments(parser)`` and ``run(arguments) -> int``. Figures of one run on one machine are
compared with one another only; ratios are what they are for.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent


def modules() -> dict[str, ModuleType]:
    """Load the subcommands by name."""
    found = {}
    for path in sorted(HERE.glob("bench_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
        found[path.stem.removeprefix("bench_")] = module
    return found


def main(words: list[str]) -> int:
    sys.path[:0] = [str(HERE.parent), str(HERE)]
    parser = argparse.ArgumentParser(prog="bench.py", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in modules().items():
        command = commands.add_parser(name, help=(module.__doc__ or "").partition("\n")[0])
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    arguments = parser.parse_args(words or ["dns"])
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
