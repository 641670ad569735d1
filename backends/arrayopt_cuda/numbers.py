"""Where the single numbers of a step are known: to the host, or only to the device.

What is made of Python numbers and of arrays in the host's memory is computed on the host, and handed over with a
launch. All else stays on the device, in cells of a buffer, and is computed there: to read it, the host would have to
wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from arrayopt.fused.program import Arithmetic, Number, Operation, Schedule, kind
from arrayopt_cuda.words import NARROW, TYPES, WORDS, Operand, expression, narrowed

HELD = {"f": "float64", "i": "int64", "b": "bool"}
"""The dtype in which a number of each kind is computed."""


class Value:
    """One number of a step.

    Attributes:
      kind: ``f``, ``i`` or ``b``.
      number: the Python number, for one that is the same in each step.
      operation: what makes it; None for a number and for what is given.
      args: the operands.
      buffer: where it is read, if that is an array of the device.
      known: its place among the numbers known, if it is read on the host.
      on_host: whether the host knows it.
      stage: of the device's kernel that makes it; the first one that can have it, if something else makes it.
      made: whether a kernel of the device makes it.
      needed: whether anybody asks for it.
      cell: where it lies on the device; None if nobody asks for it there.
    """

    __slots__ = ("args", "buffer", "cell", "kind", "known", "made", "needed", "number", "on_host", "operation",
                 "stage")  # fmt: skip

    def __init__(self, kind: str, stage: int = 0, on_host: bool = False) -> None:
        self.kind, self.stage, self.on_host = kind, stage, on_host
        self.number: Any = None
        self.operation: Operation | None = None
        self.args: list[Value] = []
        self.buffer: int | None = None
        self.known: int | None = None
        self.made = self.needed = False
        self.cell: int | None = None


class Plan:
    """The numbers of a schedule.

    Args:
      schedule: the recorded step.
      host: the buffers that lie in the host's memory.

    Attributes:
      why_not: what keeps its numbers from staying on the device, or None if nothing does.
      cells: the kind of each number that lies on the device.
      constants: cells that are the same in each step.
      varying: cells that the host works out in each step.
      answers: for each stage the scalars that its kernels want.
      reads: buffers that the host reads, and the places among the numbers known.
      work: what the host computes: first the numbers of ``varying``, then those of ``written`` that it knows.
      written: for each number that is written to the host's memory: buffer, value.
    """

    def __init__(self, schedule: Schedule, host: frozenset[int]) -> None:
        self.cells = ""
        self.constants: list[Value] = []
        self.varying: list[Value] = []
        self.answers: list[list[Value]] = []
        self.written: list[tuple[int, Value]] = []
        self._known: dict[int, Value] = {}
        self._numbers: dict[tuple[str, str], Value] = {}
        self.reads: list[tuple[int, int]] = []
        self._made: list[Value] = []  # what is read or computed, in order
        self._kernels: list[list[Value]] = [[] for _ in range(len(schedule.stages) + 1)]
        self._writes: list[list[tuple[int, str, Value]]] = [[] for _ in self._kernels]
        self.why_not = _why_not(schedule)
        if self.why_not is None:
            self._read(schedule, host)
            for s in range(len(schedule.stages)):
                self._follow(schedule, s)
            self._write(schedule, host)
            self._settle()
            self.work = self._host_work()

    # -- what there is -------------------------------------------------------------------------------------

    def _read(self, schedule: Schedule, host: frozenset[int]) -> None:
        self.reads = [(buffer, place) for buffer, place in schedule.read if buffer in host]
        for buffer, place in schedule.read:
            value = self._known[place] = Value(schedule.numbers[place], on_host=buffer in host)
            if buffer in host:
                value.known = place
            else:
                value.buffer, value.made = buffer, True
                self._made.append(value)

    def _follow(self, schedule: Schedule, s: int) -> None:
        stage = schedule.stages[s]
        results: list[Value] = []
        for operation in stage.arithmetic.code:
            results.append(self._result(operation, s, results))
        for place, number in stage.arithmetic.stores:
            self._known[place] = self._value(number, results)
        self.answers.append([self._value(number, results) for number in stage.arithmetic.answers])
        for site in [site for launch in stage.launches for site in launch.sites]:
            for k in site.scalars:
                self._use(self.answers[s][k])
            for place in site.results:
                self._give(place, schedule.numbers[place], s)
        for run in stage.runs:
            for what, place, _ in run.values.values():
                if what == "number":
                    self._use(self._known[place])
            for _, place in run.numbers:
                self._give(place, schedule.numbers[place], s)

    def _result(self, operation: Operation, s: int, results: list[Value]) -> Value:
        args = [self._value(number, results) for number in operation.args]
        value = Value(kind(operation.dtype), s, all([x.on_host for x in args]))
        value.operation, value.args, value.made = operation, args, not value.on_host
        self._made.append(value)
        return value

    def _give(self, place: int, its_kind: str, s: int) -> None:
        """A number that a reduction or a library call of a stage answers."""
        self._known[place] = Value(its_kind, s + 1)
        self._use(self._known[place])

    def _value(self, number: Number, results: list[Value]) -> Value:
        place: int = number.value
        if number.source != "number":
            return self._known[place] if number.source == "known" else results[place]
        key = (type(number.value).__name__, repr(number.value))
        if key not in self._numbers:
            value = self._numbers[key] = Value(kind(key[0]), on_host=True)
            value.number = number.value
        return self._numbers[key]

    def known(self, place: int) -> Value:
        """The value at a place among the numbers known."""
        return self._known[place]

    # -- what is needed ------------------------------------------------------------------------------------

    def _use(self, value: Value, kernel: int | None = None) -> None:
        """Sees to it that a value can be had: in a kernel of the device, or by whoever asks."""
        value.needed = True
        if not (value.made and value.stage == kernel) and value.cell is None:
            value.cell = len(self.cells)
            self.cells += value.kind
            if value.on_host:
                (self.varying if value.number is None else self.constants).append(value)

    def _write(self, schedule: Schedule, host: frozenset[int]) -> None:
        last = len(schedule.stages) - 1
        for buffer, place, dtype in schedule.written:
            value = self._known[place]
            if buffer not in host:
                s = max(last, value.stage)
                self._writes[s].append((buffer, dtype, value))
                self._use(value, s)
            else:
                self.written.append((buffer, value))
                if not value.on_host:
                    self._use(value)

    def _settle(self) -> None:
        """Leaves out what nobody needs, and gives each kernel its part."""
        for value in reversed(self._made):
            if value.needed and value.made:
                for x in value.args:
                    self._use(x, value.stage)
        for value in self._made:
            if value.needed and value.made:
                self._kernels[value.stage].append(value)

    def _host_work(self) -> Arithmetic:
        """The host's part."""
        mine = [value for value in self._made if value.operation is not None and value.on_host]
        place = {id(value): k for k, value in enumerate(mine)}

        def number(value: Value) -> Number:
            if value.number is not None:
                return Number("number", value.number)
            return Number("known", value.known) if value.known is not None else Number("result", place[id(value)])

        code = [
            Operation(value.operation.op, value.operation.dtype, tuple([number(x) for x in value.args]))
            for value in mine
            if value.operation is not None
        ]
        wanted = [*self.varying, *[value for _, value in self.written if value.on_host]]
        return Arithmetic(tuple(code), (), tuple([number(value) for value in wanted]))

    # -- the device's part ---------------------------------------------------------------------------------

    def buffers(self, s: int) -> list[int]:
        """The arrays that the kernel of a stage reads numbers from, or writes them to."""
        read = [value.buffer for value in self._kernels[s] if value.buffer is not None]
        return [*read, *self.writes(s)]

    def writes(self, s: int) -> list[int]:
        """The last of these arrays: those that the kernel writes numbers to."""
        return [buffer for buffer, _, _ in self._writes[s]]

    def source(self, s: int, dtypes: dict[int, str]) -> str | None:
        """The text of the kernel ``numbers`` of a stage; None if there is nothing to do.

        Args:
          s: the stage; after the last one comes one more.
          dtypes: of the buffers.
        """
        if not self._kernels[s] and not self._writes[s]:
            return None
        names = {id(value): f"n{k}" for k, value in enumerate(self._kernels[s])}
        lines = [*self._computed(s, names, dtypes), *self._stored(s, names)]
        head = 'extern "C" __global__ void numbers(const long long *table, Cell *cells) {'
        return "\n".join([head, *[f"    {line};" for line in lines], "}", ""])

    def _computed(self, s: int, names: dict[int, str], dtypes: dict[int, str]) -> Iterator[str]:
        row = 0
        for value in self._kernels[s]:
            if value.buffer is not None:
                text = _loaded(row, dtypes[value.buffer])
                row += 1
            else:
                assert value.operation is not None
                text = _text(value.operation, [self._operand(x, names) for x in value.args])
            held = TYPES[HELD[value.kind]]
            yield f"const {held} {names[id(value)]} = ({held})({text})"
            if value.cell is not None:
                yield f"cells[{value.cell}].{_part(value.kind)} = {names[id(value)]}"

    def _stored(self, s: int, names: dict[int, str]) -> Iterator[str]:
        first = len([value for value in self._kernels[s] if value.buffer is not None])
        for k, (_, dtype, value) in enumerate(self._writes[s]):
            x, at = self._operand(value, names), f"table[{first + k}]"  # 0 where it is to stay as it is
            text = narrowed(x, dtype) if dtype in NARROW else x.to(dtype)
            yield f"if ({at} != 0) *({TYPES[dtype]} *){at} = {text}"

    def _operand(self, value: Value, names: dict[int, str]) -> Operand:
        name = names.get(id(value))
        if name is None:
            test = " != 0" if value.kind == "b" else ""
            name = f"(cells[{value.cell}].{_part(value.kind)}{test})"
        return Operand(name, HELD[value.kind])


def _part(kind: str) -> str:
    """The member of a cell that holds a number."""
    return "f" if kind == "f" else "i"


def _loaded(row: int, dtype: str) -> str:
    text = f"*(const {TYPES[dtype]} *)table[{row}]"
    return f"widen_{dtype}({text})" if dtype in NARROW else text


def _text(operation: Operation, args: list[Operand]) -> str:
    held = HELD[kind(operation.dtype)]
    kinds = {x.dtype for x in args}
    common = "float64" if "float64" in kinds else "int64" if "int64" in kinds else "bool"
    text = expression(operation.op, held, args, common)
    if operation.op == "astype" and operation.dtype in NARROW:
        return f"widen_{operation.dtype}({narrowed(args[0], operation.dtype)})"
    if operation.op == "astype" and operation.dtype == "float32":
        return f"(float){args[0].to('float64')}"
    wraps = held == "int64" and operation.dtype in TYPES
    return f"({TYPES[operation.dtype]})({text})" if wraps else text


def _why_not(schedule: Schedule) -> str | None:
    if "c" in schedule.numbers:
        return "a complex number is met"
    for stage in schedule.stages:
        for op, dtype, args in stage.arithmetic.code:
            if op not in WORDS or kind(dtype) == "c" or dtype == "uint64":
                return f"{op} of a number has no kernel"
            if any([x.source == "number" and _is_odd(x.value) for x in args]):
                return "a number does not fit in 64 bits"
        if any([x.source == "number" and _is_odd(x.value) for x in stage.arithmetic.answers]):
            return "a number does not fit in 64 bits"
    return None


def _is_odd(x: Any) -> bool:
    return isinstance(x, complex) or (isinstance(x, int) and not -(2**63) <= x < 2**63)
