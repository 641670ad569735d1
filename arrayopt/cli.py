"""The command line program: ``arrayopt demo``, ``arrayopt bench`` and ``arrayopt backends``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import arrayopt
from arrayopt.demo import choices, data, libraries, rules, training


def main(argv: list[str] | None = None) -> int:
    """Runs the program.

    Args:
      argv: arguments, by default those of the process.

    Returns:
      0; 1 if the bench met a wrong result; 2 after one line on stderr if what is needed is not installed; 130 if
      interrupted.

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
    _add_bench(commands.add_parser("bench", help="time the step of each library beside torch.optim and Optax"))
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


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.description = (
        "Times a step: fused_step on each library and engine, plain steps, torch.optim, Optax, and a loop that only "
        "moves the arrays. One process, in turns; medians and ratios."
    )
    bench.set_defaults(run=_bench)
    _add_choices(bench)
    bench.add_argument(
        "--rounds",
        metavar="N",
        type=choices.whole(1),
        help="steps of each that count (default: 21, or 101 for up to 2 million elements)",
    )
    bench.add_argument(
        "--threads",
        metavar="N",
        type=choices.whole(1),
        help="cores that all may use (default: those there are)",
    )
    bench.add_argument(
        "--eager", action="store_true", help="time plain steps on workloads beyond 10 million elements too"
    )
    bench.add_argument(
        "--fresh-gradients",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="new gradient arrays at each step, as in training (default: yes)",
    )
    bench.add_argument("--json", metavar="FILE", type=_bench_choice("record"), help="where to write all figures")
    bench.add_argument(
        "--plot",
        metavar="FILE",
        type=choices.picture,
        help="where to draw the ratios: a .png, .svg or .pdf",
    )


def _add_choices(bench: argparse.ArgumentParser) -> None:
    bench.add_argument(
        "--workload",
        metavar="NAMES",
        type=_bench_choice("workloads"),
        default="all",
        help="number and size of leaves, such as 1x10M,300x100,100x100k:bfloat16 (default: seven usual ones)",
    )
    bench.add_argument(
        "--rule",
        metavar="NAMES",
        type=_bench_choice("rules"),
        default="adamw",
        help="some of adamw, adam, adabelief, adopt, ademamix, sgd, clip, lion, adafactor (default: %(default)s)",
    )
    bench.add_argument(
        "--library",
        metavar="NAMES",
        type=_bench_choice("libraries"),
        default="all",
        help="libraries to run ours on: numpy,torch,jax (default: those that are installed)",
    )
    bench.add_argument(
        "--part",
        metavar="NAMES",
        type=_bench_choice("parts"),
        default="steps,once",
        help="steps: time steps; once: first steps, recording, memory (default: %(default)s)",
    )


def _bench_choice(name: str) -> Callable[[str], Any]:
    """A reader of an argument, from the bench, which is imported only if it is asked."""

    def read(text: str) -> Any:
        return getattr(importlib.import_module("arrayopt_conformance.bench.choices"), name)(text)

    return read


def _bench(args: argparse.Namespace) -> int:
    absent = choices.absent(*(["matplotlib"] if args.plot else []))
    if absent:
        print(f"arrayopt bench: needs {' and '.join(absent)}; pip install 'arrayopt[cli]'.", file=sys.stderr)
        return 2
    bench: Any = importlib.import_module("arrayopt_conformance.bench")
    status: int = bench.run(args)
    return status


def _backends(args: argparse.Namespace) -> int:
    del args
    for line in libraries.listing():
        print(line)
    return 0
