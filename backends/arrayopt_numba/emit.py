"""From a program to the text of its kernel.

The inner loop is a function of its own that takes slices: so LLVM turns it into vector instructions. What calls it is
written by `drive`.
"""

from __future__ import annotations

from collections.abc import Iterator

from arrayopt.fused.program import Program
from arrayopt_numba.drive import SIZES, driver

REGISTERS = {"float16": "float32", "bfloat16": "float32"}
"""16-bit numbers are widened when they are loaded, and rounded when they are stored."""

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "pow": "**", "floor_divide": "//",
          "remainder": "%", "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_left_shift": "<<",
          "bitwise_right_shift": ">>"}  # fmt: skip
_COMPARE = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
_OF_BOOLS = {"add": "|", "multiply": "&"}
_LOGIC = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
_RENAMED = {"acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
            "atanh": "arctanh", "atan2": "arctan2", "round": "rint"}  # fmt: skip
_NUMPY = frozenset(
    "sqrt exp expm1 log log1p log2 log10 sin cos tan sinh cosh tanh sign floor ceil trunc hypot copysign logaddexp "
    "isfinite isinf isnan signbit".split()
) | frozenset(_RENAMED)


def can_emit(program: Program) -> str | None:
    """What in a program has no kernel here, or None if nothing has none."""
    kinds = {*program.loads, *[code.dtype for code in program.code], *[dtype for _, _, dtype in program.stores]}
    odd = sorted(kinds - set(SIZES))
    if odd or "c" in program.slots:
        return f"{odd[0] if odd else 'a complex number'} has no kernel"
    if not program.flat and program.views:
        return "arrays of several sizes meet, one of them in two shapes"
    if "i" in program.slots and kinds & {"int64", "uint64"}:
        return "a scalar of 64 bits does not fit in a double"
    unknown = [code.op for code in program.code if not _is_known(code.op)]
    return f"{unknown[0]} has no kernel" if unknown else None


def _is_known(op: str) -> bool:
    return op in _NUMPY or op in _INFIX or op in _COMPARE or op in _LOGIC or hasattr(_Body, f"_{op}")


def divisors(program: Program) -> list[int]:
    """The slots of scalars that a kernel multiplies by the reciprocal of."""
    return [-1 - code.args[1] for code in program.code if _by_reciprocal(*code)]


def _by_reciprocal(op: str, dtype: str, args: tuple[int, ...]) -> bool:
    return op == "divide" and args[1] < 0 and dtype in ("float32", *REGISTERS)  # in double a quotient is a quotient


def source(program: Program) -> str:
    """The text of the module that holds a program's kernel, ``run``."""
    return "\n".join(["from arrayopt_numba.runtime import *", "", *_Body(program).text(), "", *driver(program), ""])


class _Body:
    """The inner loop."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.before: dict[str, str] = {}  # what is made of the scalars before the loop
        self.summed = [value for _, value in program.reduces] + [value for value, _, _ in program.folds]
        looked_at = {a for code in program.code for a in code.args} | {*self.summed}
        stored = {value for value, _, dtype in program.stores if dtype == program.dtype(value)}
        self.walks = program.walks or (True,) * program.arrays
        self.rounded_later = stored - looked_at  # casts to 16 bits that storing makes anyway

    def text(self) -> Iterator[str]:
        program = self.program
        loop = [*self._loads(), *self._code(), *self._stores(), *self._sums()]
        arrays = sorted({*range(program.arrays)} - {array for _, array, _ in program.folds})
        names = ", ".join([f"a{k}" for k in arrays])
        yield "@njit(**OPTIONS)"
        yield f"def body({names}, s, r):"
        yield from [f"    {line}" for line in self._once()]
        yield from [f"    {name} = {text}" for name, text in self.before.items()]
        yield f"    for i in range(a{next(k for k in arrays if self.walks[k])}.size):"
        yield from [f"        {line}" for line in loop]

    def _once(self) -> Iterator[str]:
        """Loads of what is the same for a whole row."""
        yield from [self._load(k, "0") for k in range(len(self.program.loads)) if not self.walks[k]]

    def _loads(self) -> Iterator[str]:
        yield from [self._load(k, "i") for k in range(len(self.program.loads)) if self.walks[k]]

    def _load(self, k: int, i: str) -> str:
        dtype = self.program.loads[k]
        return f"v{k} = widen_{dtype}(a{k}[{i}])" if dtype in REGISTERS else f"v{k} = a{k}[{i}]"

    def _stores(self) -> Iterator[str]:
        for value, k, dtype in self.program.stores:
            if dtype in REGISTERS:
                yield f"a{k}[i] = narrow_{dtype}({self._as(value, 'float32')})"
            else:
                yield f"a{k}[i] = {self._as(value, dtype)}"

    def _sums(self) -> Iterator[str]:
        for k, value in enumerate(self.summed):
            yield f"r[{k}, i] = {self._as(value, 'float64')}"

    def _code(self) -> Iterator[str]:
        n = len(self.program.loads)
        for k, (op, dtype, args) in enumerate(self.program.code):
            yield f"v{n + k} = {self._expression(n + k, op, dtype, args)}"

    # -- operands ------------------------------------------------------------------------------------------

    def _register(self, value: int) -> str:
        dtype = self.program.dtype(value)
        return REGISTERS.get(dtype, dtype)

    def _as(self, value: int, dtype: str) -> str:
        """An operand in a register of that type."""
        if value < 0:
            return self._scalar(-1 - value, dtype)
        kind = self._register(value)
        if kind == dtype:
            return f"v{value}"
        return f"(v{value} != 0)" if dtype == "bool" else f"{dtype}(v{value})"

    def _scalar(self, slot: int, dtype: str) -> str:
        name = f"s{slot}_{dtype}"
        self.before[name] = f"s[{slot}] != 0" if dtype == "bool" else f"{dtype}(s[{slot}])"
        return name

    def _common(self, args: tuple[int, ...]) -> str:
        """The type that operands are compared in: that of the widest array."""
        kinds = [self._register(a) for a in args if a >= 0]
        if not kinds:
            return "float64"
        if self._fractional(args) and not any([k.startswith("float") for k in kinds]):
            return "float64"
        return max(kinds, key=lambda kind: (kind.startswith("float"), SIZES[kind], kind))

    def _fractional(self, args: tuple[int, ...]) -> bool:
        return any([a < 0 and self.program.slots[-1 - a] == "f" for a in args])

    # -- operations ----------------------------------------------------------------------------------------

    def _expression(self, value: int, op: str, dtype: str, args: tuple[int, ...]) -> str:
        kind = REGISTERS.get(dtype, dtype)
        if op in _COMPARE:
            a, b = [self._as(x, self._common(args)) for x in args]
            return f"{a} {_COMPARE[op]} {b}"
        if op == "astype" and dtype in REGISTERS and value not in self.rounded_later:
            return f"widen_{dtype}(narrow_{dtype}({self._as(args[0], 'float32')}))"
        special = getattr(self, f"_{op}", None)
        if special is not None:
            return str(special(kind, args))
        if op in _LOGIC:
            a, b = [self._as(x, "bool") for x in args]
            return f"{a} {_LOGIC[op]} {b}"
        if op in _INFIX:
            return self._infix(op, kind, args)
        given = ", ".join([self._as(x, self._common(args) if dtype == "bool" else kind) for x in args])
        return f"np.{_RENAMED.get(op, op)}({given})"

    def _infix(self, op: str, kind: str, args: tuple[int, ...]) -> str:
        if _by_reciprocal(op, kind, args):
            return f"{self._as(args[0], kind)} * {self._reciprocal(-1 - args[1], kind)}"
        a, b = [self._as(x, kind) for x in args]
        text = f"{a} {_OF_BOOLS.get(op, _INFIX[op]) if kind == 'bool' else _INFIX[op]} {b}"
        return text if kind.startswith("float") or kind == "bool" else f"{kind}({text})"

    def _reciprocal(self, slot: int, kind: str) -> str:
        """A division by a scalar becomes a product: one division a task instead of one an entry."""
        name = f"r{slot}_{kind}"
        self.before[name] = f"{kind}(1.0 / s[{slot}])"
        return name

    def _where(self, kind: str, args: tuple[int, ...]) -> str:
        return f"{self._as(args[1], kind)} if {self._as(args[0], 'bool')} else {self._as(args[2], kind)}"

    def _maximum(self, kind: str, args: tuple[int, ...], word: str = ">") -> str:
        a, b = [self._as(x, kind) for x in args]
        if args[1] < 0 and kind.startswith("float"):  # NaN in an array stays of itself; in a number it is seen once
            self.before[f"n{-1 - args[1]}_{kind}"] = f"{b} != {b}"
            return f"{b} if ({b} {word} {a}) | n{-1 - args[1]}_{kind} else {a}"
        return f"{a} if ({a} {word} {b}) | ({a} != {a}) else {b}"  # NaN stays NaN

    def _minimum(self, kind: str, args: tuple[int, ...]) -> str:
        return self._maximum(kind, args, "<")

    def _sign(self, kind: str, args: tuple[int, ...]) -> str:
        a = self._as(args[0], kind)
        return f"{kind}({kind}({a} > 0) - {kind}({a} < 0)) if {a} == {a} else {a}"

    def _bitwise_left_shift(self, kind: str, args: tuple[int, ...]) -> str:
        a, b = [self._as(x, kind) for x in args]
        return f"{kind}({a} << {b}) if ({b} >= 0) & ({b} < {8 * SIZES[kind]}) else {kind}(0)"

    def _bitwise_right_shift(self, kind: str, args: tuple[int, ...]) -> str:
        a, b = [self._as(x, kind) for x in args]
        most = 8 * SIZES[kind] - 1
        beyond = f"{kind}(0)" if kind.startswith("u") else f"{kind}({a} >> {kind}({most}))"
        return f"{kind}({a} >> {b}) if ({b} >= 0) & ({b} <= {most}) else {beyond}"

    def _negative(self, kind: str, args: tuple[int, ...]) -> str:
        return f"{kind}(-{self._as(args[0], kind)})"

    def _abs(self, kind: str, args: tuple[int, ...]) -> str:
        return f"{kind}(abs({self._as(args[0], kind)}))"

    def _logical_not(self, kind: str, args: tuple[int, ...]) -> str:
        return f"not {self._as(args[0], 'bool')}"

    def _bitwise_invert(self, kind: str, args: tuple[int, ...]) -> str:
        a = self._as(args[0], kind)
        return f"not {a}" if kind == "bool" else f"{kind}(~{a})"

    def _full(self, kind: str, args: tuple[int, ...]) -> str:
        return self._as(args[0], kind)

    _copy = _hand_on = _real = _conj = _full

    def _imag(self, kind: str, args: tuple[int, ...]) -> str:
        return f"{kind}(0)"

    def _astype(self, kind: str, args: tuple[int, ...]) -> str:
        return self._as(args[0], kind)
