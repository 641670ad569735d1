"""Every update rule a second time: plain NumPy in double precision, from its paper.

An oracle shares no code with what it judges. Each file of rules has a file of its name here, with the equations and
the papers, and each rule in it a function of its name, with the rule's own arguments and defaults. Called as
``oracle(params, gradients, **arguments)``, it yields the updates of every step, one array per leaf, and moves its
copy of the parameters by them before the next step. Complex leaves are complex128, their second moments real.
The decorator is told

- ``reach``: "elementwise", "leafwise" or "treewise"; of a wrapper, what it adds to that of the inner transforms.
- ``cases``, named sets of arguments: between them every argument has a value that matters within twelve
  steps of standard-normal gradients on leaves of ``SHAPES``. Schedules stand there as ``Schedule`` markers,
  transforms as ``Inner``, functions that make one as ``Maker``, dtypes as names ("float32"); ``Power``,
  ``Hyperbola``, ``Matrices`` and ``Backwards`` can be called as they are.
- ``meets_nan=True`` if some gradients are to hold NaN.
- ``exempt``, the laws that the rule does not promise to hold, each with the reason, if there are any.

Most rules see one leaf at a time. They are written for one leaf under ``leaf_by_leaf``, as generators from
gradients to updates, so that a chain of rules is a chain of generators::

    @leaf_by_leaf(
        reach="elementwise",
        cases={"defaults": {"learning_rate": 0.1}, "b1": {"learning_rate": 0.1, "b1": 0.5}},
    )
    def averaged(p, gs, *, learning_rate, b1=0.9):
        us = ema.leaf(p, gs, decay=b1)
        return scale_by_learning_rate.leaf(p, us, learning_rate=learning_rate)

Others see all leaves at once and are written under ``all_leaves``: generators of lists of updates. So are wrappers,
which make a transform of others: the oracle is given a ``Link`` for each ``Inner``, and moves nothing itself.
``*transforms`` stand in ``cases`` by their name.

Letters: p parameter, g gradient, u update, k = 0, 1, … the step counted from zero, t = k + 1.
"""

import importlib
import pkgutil
from functools import cache

from .arguments import Backwards as Backwards
from .arguments import Hyperbola as Hyperbola
from .arguments import Inner as Inner
from .arguments import Maker as Maker
from .arguments import Matrices as Matrices
from .arguments import Power as Power
from .arguments import Schedule as Schedule
from .arguments import within as within
from .oracle import Cases as Cases
from .oracle import Link as Link
from .oracle import Oracle as Oracle
from .oracle import Reach as Reach
from .oracle import Today as Today
from .oracle import all_leaves as all_leaves
from .oracle import leaf_by_leaf as leaf_by_leaf
from .words import Array as Array
from .words import Leaves as Leaves
from .words import ScalarOrSchedule as ScalarOrSchedule
from .words import at as at
from .words import rms as rms
from .words import stored as stored

SHAPES: list[tuple[int, ...]] = [
    *[(), (5,), (0, 4)],
    *[(4, 6), (6, 4), (3, 5, 4), (5, 3, 4)],  # the largest axes in every place
    *[(2, 8, 8), (8, 2, 8), (4, 6, 4), (4, 4, 4)],  # and tied
]


@cache
def every() -> list[Oracle[...]]:
    """All of them, found by looking into the modules of this folder."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    values = [(module.__name__, value) for module in modules for value in vars(module).values()]
    return [value for home, value in values if isinstance(value, Oracle) and value.__module__ == home]


def oracle_of(name: str) -> Oracle[...] | None:
    """That of the rule of this name, None if there is none."""
    return {oracle.name: oracle for oracle in every()}.get(name)
