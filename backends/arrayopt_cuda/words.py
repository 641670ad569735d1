"""The words of a program as expressions of CUDA C++, for entries of arrays and for single numbers alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TYPES = {"bool": "bool", "float16": "Half", "bfloat16": "Half", "float32": "float", "float64": "double",
         "int8": "signed char", "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short",
         "int32": "int", "uint32": "unsigned int", "int64": "long long", "uint64": "unsigned long long"}  # fmt: skip
"""How an entry of each dtype lies in memory."""

NARROW = frozenset({"float16", "bfloat16"})
"""Dtypes that are widened when they are loaded, and rounded when they are stored."""

_REAL = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_WHOLE = {"add": "wrap_add", "subtract": "wrap_subtract", "multiply": "wrap_multiply"}
_BITS = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
COMPARE = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
_LOGIC = {"logical_and": "&&", "logical_or": "||", "logical_xor": "!="}
_OURS = {"maximum": "maximum", "minimum": "minimum", "sign": "sign", "logaddexp": "logaddexp", "pow": "power",
         "floor_divide": "floor_divide", "remainder": "remainder_of", "bitwise_left_shift": "shift_left",
         "bitwise_right_shift": "shift_right"}  # fmt: skip
_TESTS = {"isfinite": "is_finite", "isinf": "is_inf", "isnan": "is_nan"}
_ROUNDING = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint"}
_MATH = frozenset({"sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos",
                   "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan2", "hypot",
                   "copysign"})  # fmt: skip
_ALIASES = frozenset({"astype", "hand_on", "copy", "full", "real", "conj"})
_SPECIAL = frozenset({"abs", "negative", "where", "imag", "signbit", "logical_not", "bitwise_invert", "recip"})

WORDS = frozenset({*_REAL, *_BITS, *COMPARE, *_LOGIC, *_OURS, *_TESTS, *_ROUNDING}) | _MATH | _ALIASES | _SPECIAL
"""Every word that there is an expression for."""


class Operand(NamedTuple):
    """A register: its name and the dtype that it has."""

    text: str
    dtype: str

    def to(self, dtype: str) -> str:
        """Its value as another dtype has it."""
        if dtype == self.dtype:
            return self.text
        return f"({self.text} != 0)" if dtype == "bool" else f"({TYPES[dtype]}){self.text}"


def register(dtype: str) -> str:
    """The dtype in which a value is computed."""
    return "float32" if dtype in NARROW else dtype


def narrowed(x: Operand, dtype: str) -> str:
    """A value rounded to 16 bits, once."""
    wide = x.dtype == "float64" or (x.dtype.endswith(("32", "64")) and "int" in x.dtype)
    return f"narrow_{dtype}(to_odd({x.to('float64')}))" if wide else f"narrow_{dtype}({x.to('float32')})"


def expression(op: str, dtype: str, args: Sequence[Operand], common: str) -> str:
    """One operation.

    Args:
      op: the word.
      dtype: of the result.
      args: the operands.
      common: the dtype in which operands are compared and tested.
    """
    kind = register(dtype)
    if op == "astype" and dtype in NARROW:
        return f"widen_{dtype}({narrowed(args[0], dtype)})"
    if op in _ALIASES:
        return args[0].to(kind)
    if op in COMPARE or op in _TESTS or op == "signbit":
        return _test(op, [x.to(common) for x in args])
    if op == "where":
        return f"{args[0].to('bool')} ? {args[1].to(kind)} : {args[2].to(kind)}"
    if op in _LOGIC or op == "logical_not":
        return _logic(op, [x.to("bool") for x in args])
    return _arithmetic(op, kind, [x.to(kind) for x in args])


def _test(op: str, args: list[str]) -> str:
    if op in COMPARE:
        return f"{args[0]} {COMPARE[op]} {args[1]}"
    return f"copysign(1.0, (double){args[0]}) < 0" if op == "signbit" else f"{_TESTS[op]}({args[0]})"


def _logic(op: str, args: list[str]) -> str:
    return f"!{args[0]}" if op == "logical_not" else f"{args[0]} {_LOGIC[op]} {args[1]}"


def _arithmetic(op: str, kind: str, args: list[str]) -> str:
    real, type_ = kind.startswith("float"), TYPES[kind]
    if op in _REAL:
        return f"{args[0]} {_REAL[op]} {args[1]}" if real else f"{_WHOLE[op]}({args[0]}, {args[1]})"
    if op in _BITS:
        return f"({type_})({args[0]} {_BITS[op]} {args[1]})"
    if op in _OURS:
        return f"{_OURS[op]}({', '.join(args)})"
    if op in _ROUNDING:
        return f"{_ROUNDING[op]}{_suffix(kind)}({args[0]})" if real else args[0]
    if op in _MATH:
        return f"{op}{_suffix(kind)}({', '.join(args)})"
    return _special(op, kind, args[0])


def _special(op: str, kind: str, x: str) -> str:
    real, type_ = kind.startswith("float"), TYPES[kind]
    if op == "negative":
        return f"-{x}" if real else f"wrap_subtract(({type_})0, {x})"
    if op == "abs":
        return f"fabs{_suffix(kind)}({x})" if real else f"{x} < 0 ? wrap_subtract(({type_})0, {x}) : {x}"
    if op == "bitwise_invert":
        return f"!{x}" if kind == "bool" else f"({type_})~{x}"
    return f"({type_})1 / {x}" if op == "recip" else f"({type_})0"  # the imaginary part of a real number


def _suffix(kind: str) -> str:
    return "f" if kind == "float32" else ""
