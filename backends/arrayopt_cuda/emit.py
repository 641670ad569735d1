"""From a program to the text of its kernel.

A block takes one task after another: some thousands of entries of one site. What is done at one entry is written
down once, as a function within the kernel. It is applied to four neighbours at a time where every array begins at a
multiple of 16 bytes, and to one at a time elsewhere and at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from arrayopt.fused.program import Program
from arrayopt_cuda.words import COMPARE, NARROW, TYPES, WORDS, Operand, expression, narrowed, register

THREADS = 256
"""Threads of a block; a power of two."""

VALUES = 128
"""Numbers that one launch can hand over."""

TASK = 16 * 1024
"""Entries of a task."""

SIZES = {"bool": 1, "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "int8": 1, "uint8": 1,
         "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8}  # fmt: skip

_REDUCE = {"sum": "Sum", "max": "Most", "min": "Least", "any": "Most", "all": "Least"}
_SCALARS = {"f": ("float64", "f"), "i": ("int64", "i"), "b": ("bool", "i != 0")}


def can_emit(program: Program) -> str | None:
    """What in a program has no kernel here, or None if nothing has none."""
    kinds = {*program.loads, *[code.dtype for code in program.code], *[dtype for _, _, dtype in program.stores]}
    odd = sorted(kinds - set(TYPES))
    if odd or "c" in program.slots:
        return f"{odd[0] if odd else 'a complex number'} has no kernel"
    if not program.flat:
        return "arrays of several sizes meet"
    unknown = [code.op for code in program.code if code.op not in WORDS]
    return f"{unknown[0]} has no kernel" if unknown else None


@cache
def text_of(name: str) -> str:
    """A file of this folder."""
    return Path(__file__).with_name(name).read_text()


@cache
def preamble() -> str:
    """What every text begins with."""
    return f"#define THREADS {THREADS}\n#define VALUES {VALUES}\n{text_of('runtime.cu')}"


@cache
def shared() -> str:
    """The text with the kernels ``set`` and ``combine``."""
    return preamble() + text_of("shared.cu")


def source(program: Program) -> str:
    """The text with a program's kernel, ``run``."""
    return "\n".join([preamble(), *_Kernel(program).text(), ""])


class _Kernel:
    def __init__(self, program: Program) -> None:
        self.program = program
        stores = {array: dtype for _, array, dtype in program.stores}
        self.dtypes = dict(enumerate(program.loads)) | stores
        self.stored = sorted(stores)
        self.before: dict[str, str] = {}  # what is made of the scalars before the loop

    def text(self) -> Iterator[str]:
        entry = list(self._entry())
        yield 'extern "C" __global__ void run('
        yield "    const long long *table, const Task *tasks, const long long count, const long long sites,"
        yield "    const int *places, const Cell *cells, double *partial"
        yield ") {"
        yield "    for (long long k = blockIdx.x; k < count; k += gridDim.x) {"
        yield "        const Task task = tasks[k];"
        yield from [f"        const {line};" for line in self._scalars()]
        yield from [f"        double r{k} = {_REDUCE[op]}::none();" for k, (op, _) in enumerate(self.program.reduces)]
        yield from [f"        {line}" for line in entry]
        yield from [f"        {line}" for line in (*self._arrays(), *self._fours(), *self._ones(), *self._sums())]
        yield "    }"
        yield "}"

    def _scalars(self) -> Iterator[str]:
        slots = len(self.program.slots)
        for k, kind in enumerate(self.program.slots):
            dtype, part = _SCALARS[kind]
            yield f"{TYPES[dtype]} s{k} = cells[places[task.row * {slots} + {k}]].{part}"
        yield from [f"auto {name} = {text}" for name, text in self.before.items()]

    # -- what is done at one entry -------------------------------------------------------------------------

    def _entry(self) -> Iterator[str]:
        given = [f"{TYPES[d]} {'&' if a in self.stored else ''}x{a}" for a, d in sorted(self.dtypes.items())]
        yield f"const auto entry = [&]({', '.join(given)}) {{"
        lines = [*self._loads(), *self._code(), *self._stores(), *self._reductions()]
        yield from [f"    {line};" for line in lines]
        yield "};"

    def _loads(self) -> Iterator[str]:
        for k, dtype in enumerate(self.program.loads):
            text = f"widen_{dtype}(x{k})" if dtype in NARROW else f"x{k}"
            yield f"const {TYPES[register(dtype)]} v{k} = {text}"

    def _code(self) -> Iterator[str]:
        n = len(self.program.loads)
        for k, (op, dtype, args) in enumerate(self.program.code):
            common = self._common(args)
            once = op == "astype" and dtype in NARROW  # a scalar is to be rounded once
            kind = common if op in COMPARE else "float64" if once else register(dtype)
            operands = [self._operand(a, kind) for a in args]
            yield f"const {TYPES[register(dtype)]} v{n + k} = {expression(op, dtype, operands, common)}"

    def _stores(self) -> Iterator[str]:
        for value, k, dtype in self.program.stores:
            x = self._value(value)
            yield f"x{k} = {narrowed(x, dtype) if dtype in NARROW else x.to(dtype)}"

    def _reductions(self) -> Iterator[str]:
        for k, (op, value) in enumerate(self.program.reduces):
            yield f"r{k} = {_REDUCE[op]}::of(r{k}, {self._value(value).to('float64')})"

    def _value(self, value: int) -> Operand:
        return Operand(f"v{value}", register(self.program.dtype(value)))

    def _operand(self, a: int, kind: str) -> Operand:
        """An operand; a scalar is converted before the loop."""
        if a >= 0:
            return self._value(a)
        slot = -1 - a
        scalar = Operand(f"s{slot}", _SCALARS[self.program.slots[slot]][0])
        if scalar.dtype in (kind, "bool"):
            return scalar
        name = f"s{slot}_{kind}"
        self.before[name] = scalar.to(kind)
        return Operand(name, kind)

    def _common(self, args: tuple[int, ...]) -> str:
        """The dtype that operands are compared in: that of the arrays, or what also holds the number they meet."""
        kinds = [register(self.program.dtype(a)) for a in args if a >= 0]
        slots = {self.program.slots[-1 - a] for a in args if a < 0}
        real = [kind for kind in kinds if kind.startswith("float")]
        if real:
            return max(real)
        if not kinds or "f" in slots:
            return "float64"
        widest = max(kinds, key=lambda kind: SIZES[kind])
        return "int64" if "i" in slots and widest != "uint64" else widest  # a number may be greater than they can be

    # -- where it is done ----------------------------------------------------------------------------------

    def _arrays(self) -> Iterator[str]:
        for a, dtype in sorted(self.dtypes.items()):
            constant = "" if a in self.stored else "const "
            pointer = f"{constant}{TYPES[dtype]} *"
            yield f"{pointer}const a{a} = ({pointer})table[{a} * sites + task.site] + task.start;"
        addresses = " | ".join([f"(Word)a{a}" for a in sorted(self.dtypes)])
        yield f"const long long fours = ({addresses}) % 16 == 0 ? task.size / 4 : 0;"

    def _fours(self) -> Iterator[str]:
        yield "for (long long i = threadIdx.x; i < fours; i += THREADS) {"
        for a, dtype in sorted(self.dtypes.items()):
            loaded = f" = ((const Four<{TYPES[dtype]}> *)a{a})[i]" if a < len(self.program.loads) else ""
            yield f"    Four<{TYPES[dtype]}> q{a}{loaded};"
        yield "#pragma unroll"
        yield f"    for (int j = 0; j < 4; ++j) entry({', '.join([f'q{a}.at[j]' for a in sorted(self.dtypes)])});"
        for a in self.stored:
            yield f"    ((Four<{TYPES[self.dtypes[a]]}> *)a{a})[i] = q{a};"
        yield "}"

    def _ones(self) -> Iterator[str]:
        yield "for (long long i = 4 * fours + threadIdx.x; i < task.size; i += THREADS) {"
        yield f"    entry({', '.join([f'a{a}[i]' for a in sorted(self.dtypes)])});"
        yield "}"

    def _sums(self) -> Iterator[str]:
        width = len(self.program.reduces)
        for k, (op, _) in enumerate(self.program.reduces):
            yield f"r{k} = reduced<{_REDUCE[op]}>(r{k});"
            yield f"if (threadIdx.x == 0) partial[k * {width} + {k}] = r{k};"
