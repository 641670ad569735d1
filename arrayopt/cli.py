"""The command line program: ``arrayopt demo`` and ``arrayopt backends``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn

import arrayopt
from arrayopt.demo import choices, data, libraries, rules, training


def main(argv: list[str] | None = None) -> int:
    """Runs the program.

    Args:
      argv: arguments, by default those of the process.

    Returns:
      0; 2 after one line on stderr if what the demo needs is not installed; 130 if interrupted.

    Raises:
      SystemExit: with 2, after one line on stderr, for a bad argument; with 0 after help or version.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    command: Callable[[argparse.Namespace], int] = args.run
    try:
        return command(args)
    except KeyboardInterrupt:
        return 130


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="arrayopt", description="Optimizers for any array library.")
    parser.add_argument("--version", action="version", version=f"arrayopt {arrayopt.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_demo(commands.add_parser("demo", help="train a small network with several optimizers and libraries"))
    listing = commands.add_parser("backends", help="list the array libraries found, and what they lack")
    listing.set_defaults(run=_backends)
    return parser


def _add_demo(demo: argparse.ArgumentParser) -> None:
    plan = training.Plan()
    demo.description = "Trains a small network on handwritten digits with each optimizer, on each library."
    demo.set_defaults(run=_demo)
    demo.add_argument(
        "--backend",
        metavar="NAMES",
        type=choices.backends,
        default="numpy",
        help="libraries to train on, such as numpy,torch,jax; or all (default: %(default)s)",
    )
    demo.add_argument(
        "--optimizer",
        metavar="NAMES",
        type=choices.optimizers,
        default=",".join(rules.SHOWN),
        help=f"some of {', '.join(rules.known())} (default: %(default)s)",
    )
    demo.add_argument(
        "--steps",
        metavar="N",
        type=choices.whole(1),
        default=plan.steps,
        help="steps of each run (default: %(default)s)",
    )
    demo.add_argument(
        "--batch-size",
        metavar="N",
        type=choices.whole(1, data.TRAINING),
        default=plan.batch_size,
        help="images in a step (default: %(default)s)",
    )
    demo.add_argument(
        "--seed",
        metavar="N",
        type=choices.whole(0),
        default=plan.seed,
        help="for the first parameters and the batches, the same on every library (default: %(default)s)",
    )
    demo.add_argument(
        "--learning-rate",
        metavar="RATE",
        type=choices.rate,
        help="of every optimizer (default: one that suits each)",
    )
    demo.add_argument(
        "--plot",
        metavar="FILE",
        type=choices.picture,
        help="where to draw the loss curves: a .png, .svg or .pdf",
    )


def _demo(args: argparse.Namespace) -> int:
    absent = choices.absent("rich", "sklearn", *(["matplotlib"] if args.plot else []))
    if absent:
        print(f"arrayopt demo: needs {' and '.join(absent)}; pip install 'arrayopt[cli]'.", file=sys.stderr)
        return 2
    from arrayopt.demo import plot, report  # report needs rich

    plan = training.Plan(args.steps, args.batch_size, args.seed)
    pairs = [(optimizer, library) for optimizer in args.optimizer for library in args.backend]
    results = report.watched(pairs, plan, args.learning_rate)
    report.show(results, plan)
    if args.plot:
        plot.draw(results, plan, args.plot)
        print(f"Loss curves: {args.plot}")
    return 0


def _backends(args: argparse.Namespace) -> int:
    del args
    for line in libraries.listing():
        print(line)
    return 0
