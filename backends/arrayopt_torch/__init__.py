"""Torch: counters live on the CPU, where a 0-d tensor may meet tensors of every device without a copy or a sync."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from types import SimpleNamespace
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.counts import Count, bare
from arrayopt.layout import Layout
from arrayopt_torch.special import TorchSpecial

_NAMES = {"bitwise_invert": "bitwise_not", "equal": "eq", "not_equal": "ne"}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
_WITHOUT_OUT = frozenset({"isfinite", "isinf", "isnan", "real", "imag", "conj"})

_NO_LEAVES = (
    "the new parameters are no leaves of autograd: backward() leaves their .grad at None, and a module keeps its old "
    "ones, so a loop that goes on with them trains nothing."
)
_ALL_NONE = (
    "all updates are None, so nothing moves. The .grad of a tensor is None before backward(), and stays so if it is "
    "no leaf of autograd, as what apply_updates makes."
)
_INSTEAD = "arrayopt.fused_step moves parameters in place; so does param.add_(updates[name]) within torch.no_grad()."


class TorchCount(Count):
    """A count that Torch's functions take for a tensor. In them, too, Python floats meet it in the widest dtype."""

    __slots__ = ()

    def _compared(self, op: Callable[[Any, Any], Any], other: Any) -> Any:
        return self._meets(op, other)  # a bool, too, would become of the default dtype

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        return func(*[_as_tensors(x) for x in args], **{name: _as_tensors(x) for name, x in (kwargs or {}).items()})


def _as_tensors(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)([_as_tensors(y) for y in x])
    if type(x) is float:
        import torch  # as a compiler can trace it

        return torch.tensor(x, dtype=torch.float64, device="cpu")  # where counts are
    return bare(x)


class TorchBackend(TorchSpecial, Backend):
    engines = ("numba", "cuda", "tiles", "eager")
    _has_warned = False

    def load(self) -> Any:
        """Imports it, and spells its dtypes: within a loop that is compiled nothing new may be remembered."""
        found: Any = super().load()
        for name in (*dtypes.REALS, *dtypes.COMPLEX, "bool", *_INTEGERS):
            dtypes.name(getattr(self.torch, name))
        return found

    def kinds(self) -> tuple[type[Any], ...]:
        return self.torch.Tensor, self.torch.nn.Parameter

    def counter(self, like: Any) -> Any:
        return self.xp.zeros((), dtype=self.xp.int32, device="cpu")

    def stepping(self, count: Any) -> Any:
        return TorchCount(count, self)

    def is_compiling(self) -> bool:
        return bool(self.torch.compiler.is_compiling())

    def copy(self, x: Any) -> Any:
        if x.layout is not self.torch.strided:
            return x.to_dense()
        return x.clone()  # asarray warns if a derivative is being taken

    def applied(self, params: Sequence[Any], updates: Sequence[Any]) -> None:
        """Warns, once in a process, of a loop that trains nothing: in Optax it would be the right one."""
        torch = self.torch
        if self._has_warned or torch.compiler.is_compiling():
            return
        if not updates:
            self._warn(_ALL_NONE)
        elif torch.is_grad_enabled() and any(map(_is_trained, params)) and not any(map(_requires_grad, updates)):
            self._warn(_NO_LEAVES)

    def _warn(self, message: str) -> None:
        self._has_warned = True
        warnings.warn(f"apply_updates: {message} {_INSTEAD}", stacklevel=4)

    def devices(self) -> list[Any]:
        torch = self.torch
        cuda = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
        return [torch.device("cpu"), *cuda]

    def cumulative_sum(self, x: Any, dtype: Any, include_initial: bool = False) -> Any:
        """Torch's own: that of array-api-compat looks for the namespace anew, of which a compiler warns."""
        torch = self.torch
        found = torch.cumsum(x, -1, dtype=dtype)
        return torch.nn.functional.pad(found, (1, 0)) if include_initial else found

    # -- control flow and derivatives ---------------------------------------------------------------------

    def while_loop(self, cond: Callable[[Any], Any], body: Callable[[Any], Any], carry: list[Any]) -> list[Any]:
        from arrayopt_torch import control  # which imports torch, as a compiler can trace it

        return control.while_loop(cond, body, carry)

    def vmap(self, f: Callable[[Any], Any], xs: Any) -> Any:
        return self.torch.func.vmap(f)(xs)

    def stop_gradient(self, x: Any) -> Any:
        return x.detach()

    def custom_jvp(self, function: Callable[..., Any], jvp: Callable[..., Any], xs: tuple[Any, ...]) -> Any:
        from arrayopt_torch import derivatives

        return derivatives.custom_jvp(function, jvp, xs)

    def asarray(self, values: Any, dtype: str | None = None, device: Any = None) -> Any:
        """Copied on the host, then moved: Torch refuses to do both at once, and 0-d NumPy arrays with a dtype."""
        if str(getattr(values, "dtype", None)) == "bfloat16":  # pytorch#109873, the other way
            x = self.torch.asarray(values.view("int16"), copy=True).view(self.torch.bfloat16)
        else:
            x = cast(Any, self.xp.asarray(values, copy=True))
        x = x if device is None else x.to(device)
        return x if dtype is None else self.xp.astype(x, self.dtype(dtype))

    def to_numpy(self, x: Any) -> Any:
        torch = self.torch
        x = x.detach().cpu()
        if x.dtype is torch.bfloat16:  # pytorch#109873: NumPy has no such dtype to hand
            return x.view(torch.int16).numpy().view(importlib.import_module("ml_dtypes").bfloat16)
        return x.resolve_conj().numpy()

    # -- for fused steps -----------------------------------------------------------------------------------

    def can_assign(self, x: Any) -> bool:
        return isinstance(x, self.torch.Tensor) and not self._is_sealed(x)

    def _is_sealed(self, x: Any) -> bool:
        """Whether it was made in inference mode, outside of which Torch does not write to it."""
        return bool(x.is_inference() and not self.torch.is_inference_mode_enabled())

    def layout(self, x: Any) -> Layout | None:
        torch = self.torch
        if (
            type(x) not in (torch.Tensor, torch.nn.Parameter)
            or x.is_conj()
            or x.is_neg()
            or x.layout != torch.strided
            or not _has_memory(x)
            or self._is_sealed(x)
        ):
            return None
        size = x.element_size()
        strides = None if x.is_contiguous() else tuple([step * size for step in x.stride()])
        return Layout(x.data_ptr(), tuple(x.shape), x.dtype, strides, size)

    def addresses(self, xs: Sequence[Any]) -> list[int]:
        try:
            return list(map(self.torch.Tensor.data_ptr, xs))
        except RuntimeError:  # one has no storage
            return [0] * len(xs)

    def all_plain(self, xs: Sequence[Any]) -> bool:
        tensor = self.torch.Tensor
        try:
            return all(map(tensor.is_contiguous, xs)) and not any(map(tensor.is_neg, xs))
        except (RuntimeError, NotImplementedError):  # one is sparse
            return False

    def watch(self, xs: Sequence[Any]) -> Callable[[Sequence[Any]], bool]:
        """The memory of a tensor may be exchanged, and all else with it: ``p.data = …``.

        What is at one address is on one device. Only a tensor of one entry can be contiguous and negated, only a
        complex one contiguous and conjugated.
        """
        tensor = self.torch.Tensor
        addresses, alike = self.addresses(xs), self.alike(xs)
        if alike is not None:
            return lambda ys: self.addresses(ys) == addresses and alike(ys)
        dtypes, shapes = [x.dtype for x in xs], [x.shape for x in xs]
        plain = list(map(tensor.is_contiguous, xs))
        odd = [(k, x.stride()) for k, x in enumerate(xs) if not plain[k]]
        bits = [k for k, x in enumerate(xs) if x.numel() < 2 or x.is_complex()]

        def same(ys: Sequence[Any]) -> bool:
            return (
                self.addresses(ys) == addresses
                and [y.dtype for y in ys] == dtypes
                and [y.shape for y in ys] == shapes
                and list(map(tensor.is_contiguous, ys)) == plain
                and all([ys[k].stride() == stride for k, stride in odd])
                and not any([ys[k].is_neg() or ys[k].is_conj() for k in bits])
            )

        return same

    def alike(self, xs: Sequence[Any]) -> Callable[[Sequence[Any]], bool] | None:
        """The guards of Torch's compiler, where this Torch has them as they are known here: a fifth of the time."""
        make = self._guards
        if make is None or not all([type(x) in (self.torch.Tensor, self.torch.nn.Parameter) for x in xs]):
            return None
        try:
            check = make(*xs, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
            return partial(_holds, check) if check(*xs) is True else None
        except Exception:  # a sparse tensor, or other guards than these
            return None

    @cached_property
    def _guards(self) -> Any:
        dynamo = getattr(self.torch._C, "_dynamo", None)
        return getattr(getattr(dynamo, "guards", None), "TensorGuards", None)

    def devices_of(self, xs: Sequence[Any]) -> list[Any]:
        return [x.device for x in xs]

    def plain(self, x: Any) -> Any:
        torch = self.torch
        if not self.is_plain_kind(x) or x.layout != torch.strided or not _has_memory(x):
            return None
        return x.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)

    def is_plain_kind(self, x: Any) -> bool:
        return type(x) in (self.torch.Tensor, self.torch.nn.Parameter)

    def read(self, x: Any) -> Any:
        return x.item()

    def assign(self, x: Any, value: Any) -> None:
        if isinstance(value, (int, float, complex)):
            x.detach().fill_(value)
        else:
            x.detach().copy_(value.detach())

    def written(self, xs: Sequence[Any]) -> None:
        """Lets autograd know: a tensor saved for a backward pass and changed since then is an error there."""
        self.torch.autograd.graph.increment_version(xs)

    def shares_memory(self, x: Any, y: Any) -> bool:
        numpy = importlib.import_module("numpy")
        return bool(numpy.shares_memory(_bytes(x), _bytes(y)))

    def raw(self, x: Any) -> Any:
        return x.detach()

    def word(self, op: str) -> tuple[Callable[..., Any], bool]:
        torch = self.torch
        if op == "sign":  # Torch's own answers 0 to NaN
            return self.xp.sign, False
        if op in ("pow", "where"):
            return _pow if op == "pow" else _where, True
        return getattr(torch, _NAMES.get(op, op)), op not in _WITHOUT_OUT

    def scalar(self, value: Any) -> Any:
        torch = self.torch
        wide = {float: torch.float64, complex: torch.complex128}  # not of the default dtype, which may have 16 bits
        return torch.tensor(value, dtype=wide.get(type(value)), device="cpu")


def _holds(check: Callable[..., Any], xs: Sequence[Any]) -> bool:
    try:
        return check(*xs) is True
    except TypeError:  # one is no tensor
        return False


def _has_memory(x: Any) -> bool:
    """Not on ``meta``, not freed, not within ``torch.func``."""
    try:
        return bool(x.device.type != "meta" and (x.data_ptr() != 0 or x.numel() == 0))
    except RuntimeError:
        return False


def _pow(x: Any, y: Any, out: Any = None) -> Any:
    """``torch.pow``, which takes the dtype of a 0-d base for the answer's."""
    torch = importlib.import_module("torch")
    return torch.pow(x.to(y.dtype) if x.ndim == 0 else x, y, out=out)


def _where(condition: Any, x: Any, y: Any, out: Any) -> Any:
    """``torch.where``, which takes the dtype of two 0-d tensors for the answer's."""
    torch = importlib.import_module("torch")
    return torch.where(condition, *[v if v.ndim else v.to(out.dtype) for v in (x, y)], out=out)


def _requires_grad(x: Any) -> bool:
    return bool(getattr(x, "requires_grad", False))  # there may be a Python float


def _is_trained(x: Any) -> bool:
    """Whether it is a leaf of autograd that ``backward`` gives a gradient, and is not within ``torch.func``."""
    return _requires_grad(x) and bool(x.is_leaf) and _has_memory(x)


def _bytes(x: Any) -> Any:
    """A NumPy array with its entries at the places of a tensor's. They may be a GPU's: nobody reads them."""
    size = x.element_size()
    strides = tuple([step * size for step in x.stride()])
    where = {
        "data": (x.data_ptr(), True),
        "shape": tuple(x.shape),
        "strides": strides,
        "typestr": f"|V{size}",
        "version": 3,
    }
    return importlib.import_module("numpy").asarray(SimpleNamespace(__array_interface__=where))


backend = TorchBackend("torch", "array_api_compat.torch", "arrayopt[torch]")
