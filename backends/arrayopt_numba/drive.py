"""The part of a kernel that takes tasks from a counter that all threads share, and walks through arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arrayopt.fused.program import Program

STORED = {"float16": "uint16", "bfloat16": "uint16", "bool": "boolean"}
SIZES = {"bool": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int8": 1, "uint8": 1,
         "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}  # fmt: skip

TASK = 64 * 1024
"""Entries of a task."""

BLOCK = 1024
"""Entries between two looks ahead. The processor's own prefetching stops at the end of a page; so each array is
touched two blocks ahead. Measured: 3 to 10 % where arrays are long. What is summed is laid down for a block first."""

FRAME = 13
"""Integers in a frame: addresses of the counters (tasks taken, threads come, tasks done), of the tasks, their
number, address of the table, sites, address of the scalars, their rows, addresses of the partial sums, of what is
summed and of how rows lie, the numbers that tell this of a site; address of the sums along axes, which each thread
forms for itself, and the bytes of those of one thread."""

_EMPTY = {"sum": "0.0", "max": "-np.inf", "min": "np.inf", "any": "0.0", "all": "1.0"}


def driver(program: Program) -> Iterator[str]:
    """What takes tasks (site, first entry, entries, row of scalars) and goes through each block by block.

    Every thread calls it with the address of one frame: where counters, tasks, addresses, scalars and sums lie.
    """
    if not program.flat:
        yield from _of_rows(program)
        return
    dtypes = arrays(program)
    yield from _beginning(program)
    for a, dtype in dtypes.items():
        yield f"        p{a} = table[{a}, site] + tasks[k, 1] * {SIZES[dtype]}"
    yield from _blocks(program, [True] * len(dtypes), "        ")
    yield from _end(program)


def _of_rows(program: Program) -> Iterator[str]:
    """The same where arrays of several sizes meet: a task is some rows, or pieces of rows.

    Of a site it is told: entries of a row, of a piece, pieces of a row; how many axes rows lie along, their sizes,
    outermost first, and for each array the bytes from one to the next along each.
    """
    dtypes, folds = arrays(program), [array for _, array, _ in program.folds]
    yield from _beginning(program)
    yield "        axes = shapes[site, 3]"
    yield "        for unit in range(tasks[k, 1], tasks[k, 1] + n0):"
    yield "            row = unit // shapes[site, 2]"
    yield "            first = (unit - row * shapes[site, 2]) * shapes[site, 1]"
    yield "            n = min(shapes[site, 1], shapes[site, 0] - first)"
    for a, dtype in dtypes.items():
        yield f"            p{a} = table[{a}, site]{' + f[11] + me * f[12]' if a in folds else ''}"
        if program.walks[a]:
            yield f"            p{a} += first * {SIZES[dtype]}"
    yield "            for axis in range(axes - 1, -1, -1):"
    yield "                rest = row // shapes[site, 4 + axis]"
    yield "                at = row - rest * shapes[site, 4 + axis]"
    for a in dtypes:
        yield f"                p{a} += at * shapes[site, 4 + axis + {a + 1} * axes]"
    yield "                row = rest"
    yield from _blocks(program, program.walks, "            ")
    yield from _end(program)


def arrays(program: Program) -> dict[int, str]:
    """The dtype of each array."""
    found = dict(enumerate(program.loads)) | {array: dtype for _, array, dtype in program.stores}
    return found | {array: "float64" for _, array, _ in program.folds}  # sums are formed in double


def _beginning(program: Program) -> Iterator[str]:
    sums = max(len(program.reduces) + len(program.folds), 1)
    yield "@cfunc(CALLBACK, **CALLED)"
    yield "def run(where):"
    yield f"    f = carray(pointer(where), {FRAME}, int64)"
    yield "    tasks = carray(pointer(f[1]), (f[2], 4), int64)"
    yield f"    table = carray(pointer(f[3]), ({program.arrays}, f[4]), int64)"
    yield f"    scalars = carray(pointer(f[5]), (f[6], {max(len(program.slots), 1)}), float64)"
    yield f"    partial = carray(pointer(f[7]), (f[2], {max(len(program.reduces), 1)}), float64)"
    yield "    me = fetch_add(f[0] + 8, 1)"
    yield f"    own = f[8] + me * {8 * sums * BLOCK}"
    yield f"    scratch = carray(pointer(own), ({sums}, {BLOCK}), float64)"
    if not program.flat:
        yield "    shapes = carray(pointer(f[9]), (f[4], f[10]), int64)"
    yield "    while True:"
    yield "        k = fetch_add(f[0], 1)"
    yield "        if k >= f[2]:"
    yield "            return"
    yield f"        site, {'n' if program.flat else 'n0'}, s = tasks[k, 0], tasks[k, 2], scalars[tasks[k, 3]]"
    yield from [f"        t{k} = {_EMPTY[op]}" for k, (op, _) in enumerate(program.reduces)]


def _blocks(program: Program, walks: Sequence[bool], indent: str) -> Iterator[str]:
    """Through ``n`` entries from the addresses on, a block at a time."""
    dtypes = arrays(program)
    yield f"{indent}for start in range(0, n, {BLOCK}):"
    yield f"{indent}    m = min({BLOCK}, n - start)"
    for a, dtype in dtypes.items():
        if walks[a]:
            yield f"{indent}    fetch_ahead(p{a} + {2 * BLOCK * SIZES[dtype]})"
        yield f"{indent}    a{a} = carray(pointer(p{a}), {'m' if walks[a] else '1'}, {STORED.get(dtype, dtype)})"
        if walks[a]:
            yield f"{indent}    p{a} += {BLOCK * SIZES[dtype]}"
    own = [a for a in dtypes if a not in [array for _, array, _ in program.folds]]
    yield f"{indent}    body({', '.join([f'a{a}' for a in own])}, s, scratch)"
    for k, (op, _) in enumerate(program.reduces):
        yield f"{indent}    t{k} = {op}_of(scratch[{k}, :m], t{k})"
    for k, (_, a, _) in enumerate(program.folds, len(program.reduces)):
        if walks[a]:
            yield f"{indent}    add_to(a{a}, scratch[{k}, :m])"
        else:
            yield f"{indent}    a{a}[0] = sum_of(scratch[{k}, :m], a{a}[0])"


def _end(program: Program) -> Iterator[str]:
    yield from [f"        partial[k, {k}] = t{k}" for k in range(len(program.reduces))]
    yield "        fetch_add(f[0] + 16, 1)"
