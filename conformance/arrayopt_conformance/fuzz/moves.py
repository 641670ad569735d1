"""What a caller may do before a step."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import tempfile
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from arrayopt.dispatch import is_array
from arrayopt.tree.structure import flatten
from arrayopt_conformance.fuzz.cases import DTYPES, SHAPES, TREES, Leaf
from arrayopt_conformance.fuzz.compare import Wrong, assert_near, dtype_name, eager, host, tolerance, twin
from arrayopt_conformance.fuzz.memory import LAYOUTS
from arrayopt_conformance.fuzz.rules import RULES, World, prepared
from arrayopt_conformance.fuzz.table import Table

Action = Callable[[Table, int, int], None]


class Known(NamedTuple):
    """A move: what it does, and the libraries that know it."""

    do: Action
    libraries: tuple[str, ...]


MOVES: dict[str, Known] = {}
_ALL = ("numpy", "torch", "jax")


def move(*libraries: str) -> Callable[[Action], Action]:
    """Registers a move under the name of its function."""

    def register(do: Action) -> Action:
        MOVES[do.__name__] = Known(do, libraries or _ALL)
        return do

    return register


def moves_of(library: str) -> list[str]:
    """The names of the moves that a library knows."""
    return [name for name, known in MOVES.items() if library in known.libraries]


ALIASING = ("gradient_is_donated", "gradients_share", "gradient_lies_across", "extra_arguments", "caller_edits")
"""Moves after which a rule that writes into its gradients would write elsewhere too."""


_NO_MOVE = (ValueError, TypeError, RuntimeError, NotImplementedError, LookupError, AttributeError, ImportError)


def make(table: Table, name: str, which: int, how: int) -> None:
    """Makes a move. One that the library itself does not allow is none."""
    if name in ALIASING and table.case.rule == "edits_gradients":
        return
    with contextlib.suppress(*_NO_MOVE):
        MOVES[name].do(table, which, how)


def _pick(some: Any, how: int) -> Any:
    found = list(some)
    return found[how % len(found)]


def _torch() -> Any:
    return importlib.import_module("torch")


@move()
def plain(table: Table, which: int, how: int) -> None:
    """Nothing."""


@move()
def explained(table: Table, which: int, how: int) -> None:
    """Asks what was done."""
    repr(table.step.explain())


@move()
def collected(table: Table, which: int, how: int) -> None:
    """Has the garbage collector run."""
    gc.collect()


# -- gradients -------------------------------------------------------------------------------------------------------


@move()
def some_none(table: Table, which: int, how: int) -> None:
    """Leaves without a gradient."""
    leaves, spec = flatten(table.grads)
    table.grads = spec.unflatten([None if (how + 1) >> (i % 4) & 1 else g for i, g in enumerate(leaves)])


@move()
def gradients_none(table: Table, which: int, how: int) -> None:
    """None for all of them."""
    table.grads = None


@move()
def gradient_lies_otherwise(table: Table, which: int, how: int) -> None:
    """In this step."""
    p, i = table.leaf("params", which)
    table.put("grads", i, table.gradient(p, i, _pick(LAYOUTS, how)))


@move()
def gradient_of_other_dtype(table: Table, which: int, how: int) -> None:
    """One of them."""
    p, i = table.leaf("params", which)
    table.put("grads", i, table.gradient(p, i, dtype=_pick([*DTYPES[table.case.library], "int32", "bool"], how)))


@move("numpy", "torch")
def gradient_not_finite(table: Table, which: int, how: int) -> None:
    """One entry, or all."""
    g, i = table.array("grads", which)
    values = np.array(host(g))
    values[...] = np.where(
        np.arange(values.size).reshape(values.shape) % 3 < 1 + how % 3, [np.inf, np.nan][how % 2], values
    )
    table.put("grads", i, table.memory.put(values.astype(table.memory.values((), dtype_name(g)).dtype)))


@move()
def gradient_of_other_shape(table: Table, which: int, how: int) -> None:
    """One of them."""
    _, i = table.leaf("params", which)
    table.put("grads", i, table.memory.array(_pick(SHAPES, how), "float32"))


def _numpys(table: Table, i: int, how: int) -> Any:
    """What is nearly an array of NumPy: with the shape of the gradient, and its values."""
    g = np.array(host(table.leaf("grads", i)[0]))
    wide = np.asarray(g, np.float32) if g.dtype.kind == "f" else g
    sorts: list[Callable[[], Any]] = [
        lambda: np.matrix(wide),
        lambda: np.ma.masked_array(wide, mask=np.arange(wide.size).reshape(wide.shape) % 2 > 0),
        lambda: np.ma.masked_array(wide),
        lambda: _mapped(wide),
        lambda: wide.astype(object),
        lambda: np.zeros(wide.shape, [("x", "f4")]),
        lambda: np.rec.array(np.zeros(wide.shape, [("x", "f4")])),
        lambda: importlib.import_module("scipy.sparse").csr_array(np.atleast_2d(wide)),
        lambda: wide.astype(wide.dtype.newbyteorder(">")),
        lambda: wide.astype(np.longdouble),
        lambda: wide.astype("U8"),
        lambda: wide.ravel()[0],
        lambda: float(abs(wide.ravel()[0])),
        lambda: "steep",
        lambda: wide.ravel()[:6].tolist(),
        lambda: wide.view(type("Mine", (np.ndarray,), {})),
    ]
    return sorts[how % len(sorts)]()


def _mapped(x: Any) -> Any:
    with tempfile.TemporaryFile() as file:
        found = np.memmap(file, x.dtype, "w+", shape=x.shape)
    found[...] = x
    return found


@move()
def gradient_of_other_sort(table: Table, which: int, how: int) -> None:
    """Of a subclass, sparse, a number, no array at all: NumPy's."""
    _, i = table.leaf("grads", which)
    table.put("grads", i, _numpys(table, i, how))


@move()
def gradient_of_other_library(table: Table, which: int, how: int) -> None:
    """One of NumPy among others, one of Torch among NumPy's."""
    g, i = table.leaf("grads", which)
    values = np.array(host(g))
    if table.case.library == "numpy":
        table.put("grads", i, _torch().from_numpy(values))
    else:
        table.put("grads", i, table.memory.put(values, _pick(LAYOUTS, how), numpy=True))


def _tensors(g: Any, how: int) -> Any:
    """What is nearly a plain tensor."""
    torch = _torch()
    real = g.real if g.is_complex() else g
    sorts: list[Callable[[], Any]] = [
        lambda: torch.complex(real.float(), -real.float()).conj().imag.to(g.dtype),
        lambda: torch.complex(real.float(), real.float()).conj().imag,  # with the negative bit
        lambda: torch.complex(real.float(), real.float()).conj(),
        lambda: g.clone().requires_grad_(),
        lambda: g.clone().requires_grad_() * 1,
        lambda: torch.empty_like(g, device="meta"),
        lambda: g.to_sparse(),
        lambda: torch.nn.Parameter(g.clone(), requires_grad=False),
        lambda: torch.nn.Parameter(g.clone()),
        lambda: g.clone().as_subclass(type("Mine", (torch.Tensor,), {})),
        lambda: _inferred(g),
        lambda: g.clone().to_mkldnn(),
        lambda: torch.masked.masked_tensor(g.clone(), g != 0),
        lambda: g.clone().transpose(0, -1).contiguous().transpose(0, -1),
        lambda: torch.zeros((), dtype=g.dtype).expand(g.shape),
        lambda: torch._neg_view(g.clone()),  # contiguous, and with the negative bit
        lambda: torch.complex(real.float(), real.float()).conj().imag.as_strided(g.shape, g.clone().stride()),
        lambda: importlib.import_module("torch._subclasses").FakeTensorMode().from_tensor(g.clone()),
    ]
    return sorts[how % len(sorts)]()


def _inferred(g: Any) -> Any:
    with _torch().inference_mode():
        return g.clone()


@move("torch")
def gradient_of_other_tensor(table: Table, which: int, how: int) -> None:
    """Conjugate or negative views, of a derivative, on meta, sparse, of a subclass."""
    g, i = table.leaf("grads", which)
    table.put("grads", i, _tensors(g, how + 3 * which))


@move()
def gradients_share(table: Table, which: int, how: int) -> None:
    """One array is the gradient of two leaves."""
    g, _ = table.leaf("grads", which)
    table.put("grads", table.leaf("grads", which + how + 1)[1], g)


@move()
def gradient_is_donated(table: Table, which: int, how: int) -> None:
    """It is a parameter or a slot, or a view of one."""
    if table.case.rule == "edits_state":  # which edits it then: the copies that eager updates see share nothing
        return
    x, _ = table.array(_pick(["params", "state"], how), which + how // 8)
    _, i = table.leaf("params", which)
    views: list[Callable[[Any], Any]] = [
        lambda x: x,
        lambda x: x[...],
        _flipped,
        lambda x: x.T.T if x.ndim < 3 else x,
    ]
    table.put("grads", i, views[how // 2 % 4](x))


def _flipped(x: Any) -> Any:
    return x[::-1] if isinstance(x, np.ndarray) and x.ndim else x[...]


@move("numpy", "torch")
def gradient_lies_across(table: Table, which: int, how: int) -> None:
    """It begins within a parameter's memory, and does not end there."""
    p, i = table.array("params", which)
    if p.ndim and p.shape[0] > 1:
        wide = table.memory.array((2 * p.shape[0], *p.shape[1:]), dtype_name(p))
        table.put("params", i, wide[: p.shape[0], ...])
        table.put("grads", i, wide[how % p.shape[0] : how % p.shape[0] + p.shape[0], ...])


@move()
def gradients_of_other_structure(table: Table, which: int, how: int) -> None:
    """The parameters stay in theirs: a leaf too many, too few, renamed."""
    leaves, _ = flatten(table.grads)
    few = leaves[: max(len(leaves) - how % 2, 1)] if how % 3 else [*leaves, *leaves[:1]]
    table.grads = TREES[_pick(TREES, how) if how > 8 else table.tree](few)


# -- parameters and state --------------------------------------------------------------------------------------------


@move()
def leaf_added(table: Table, which: int, how: int) -> None:
    """To parameters, gradients and state."""
    leaves, _ = flatten(table.params)
    shape = _pick(SHAPES, how)
    table.rebuilt(table.tree, [*leaves, table.parameter(Leaf(shape, DTYPES[table.case.library][0]))][:8])


@move()
def leaf_removed(table: Table, which: int, how: int) -> None:
    """From parameters, gradients and state."""
    leaves, _ = flatten(table.params)
    if len(leaves) > 1:
        leaves.pop(which % len(leaves))
        table.rebuilt(table.tree, leaves)


@move()
def tree_changed(table: Table, which: int, how: int) -> None:
    """The same leaves in another tree, the state made anew."""
    leaves, _ = flatten(table.params)
    table.rebuilt(_pick(TREES, which + how), leaves)


@move()
def leaves_swapped(table: Table, which: int, how: int) -> None:
    """Two parameters change places, the state stays."""
    leaves, spec = flatten(table.params)
    a, b = which % len(leaves), (which + how) % len(leaves)
    leaves[a], leaves[b] = leaves[b], leaves[a]
    table.params = spec.unflatten(leaves)


@move()
def parameter_replaced(table: Table, which: int, how: int) -> None:
    """By another array of the same kind, which lies in some way."""
    p, i = table.array("params", which)
    table.put("params", i, table.like(p, _pick(LAYOUTS, how)))


@move()
def slot_replaced(table: Table, which: int, how: int) -> None:
    """By a copy, which lies in some way."""
    x, i = table.array("state", which)
    table.put("state", i, table.same(x, _pick(LAYOUTS, how)))


@move("numpy", "torch")
def parameter_is_a_view(table: Table, which: int, how: int) -> None:
    """Of itself."""
    p, i = table.array("params", which)
    views: list[Callable[[], Any]] = [
        lambda: p[...],
        lambda: p.reshape(p.shape),
        lambda: p.view(p.dtype) if isinstance(p, np.ndarray) else p.view(p.shape),
        lambda: p.T.T if p.ndim < 3 else p,
        lambda: _flipped(p),
        lambda: p[:0] if how > 8 else p[:-1],
    ]
    table.put("params", i, _pick(views, how)())


@move()
def state_copied(table: Table, which: int, how: int) -> None:
    """As a checkpoint brings it back."""
    table.state = table.watched(table.state)


@move()
def all_copied(table: Table, which: int, how: int) -> None:
    """Parameters and state."""
    table.params, table.state = table.watched(table.params), table.watched(table.state)


@move()
def one_array_twice(table: Table, which: int, how: int) -> None:
    """Tied parameters, a slot that is another or a parameter."""
    x, _ = table.array(_pick(["params", "state"], how), which)
    target = _pick(["params", "state"], how // 2)
    table.put(target, table.array(target, which + 1 + how // 4)[1], x)


@move("numpy", "torch")
def two_in_one(table: Table, which: int, how: int) -> None:
    """A parameter becomes part of another's memory, or interleaves with it."""
    p, i = table.array("params", which)
    wide = table.memory.array((*p.shape, 2), dtype_name(p))
    q, j = table.array("params", which + 1)
    table.put("params", i, wide[..., 0])
    if tuple(q.shape) == tuple(p.shape) and q.dtype == p.dtype:
        table.put("params", j, wide[..., 0 if how == 0 else 1])


@move()
def parameter_of_other_dtype(table: Table, which: int, how: int) -> None:
    """The state stays."""
    p, i = table.array("params", which)
    table.put("params", i, table.memory.array(tuple(p.shape), _pick([*DTYPES[table.case.library], "int32"], how)))


@move()
def parameter_of_other_shape(table: Table, which: int, how: int) -> None:
    """The state stays."""
    p, i = table.array("params", which)
    table.put("params", i, table.memory.array(_pick(SHAPES, how), dtype_name(p)))


@move()
def parameter_of_other_sort(table: Table, which: int, how: int) -> None:
    """Of a subclass, sparse, a number, no array at all."""
    p, i = table.array("params", which)
    if table.case.library == "torch" and how % 2:
        table.put("params", i, _tensors(p, how // 2 + which))
    else:
        table.put("params", i, _numpys(table, i, how))


@move()
def slot_of_other_sort(table: Table, which: int, how: int) -> None:
    """Another dtype or shape, a number, None: a state that came from elsewhere."""
    x, i = table.array("state", which)
    sorts: list[Callable[[], Any]] = [
        lambda: table.memory.array(tuple(x.shape), _pick(DTYPES[table.case.library], which + 1)),
        lambda: table.memory.array(_pick(SHAPES, which), "float32"),
        lambda: host(x).item(),
        lambda: np.array(host(x)),
        lambda: np.array(host(x)).ravel()[0],
        lambda: None,
        lambda: "state",
        lambda: True,
        lambda: _torch().empty_like(x, device="meta"),
        lambda: float(host(x).item()),
    ]
    table.put("state", i, _pick(sorts, how)())


@move()
def state_of_other_structure(table: Table, which: int, how: int) -> None:
    """None, an empty tuple, one entry less."""
    state: Any = table.state
    shorter: Any = cast(Any, state)[:-1] if type(state) is tuple else state
    table.state = _pick([None, (), shorter, [state], {"state": state}], how)


@move("numpy", "torch")
def caller_edits(table: Table, which: int, how: int) -> None:
    """In place: a parameter, a slot, or a gradient."""
    tree = _pick(["params", "state", "grads"], how)
    x, _ = table.array(tree, which)
    if isinstance(x, np.ndarray):
        x[...] = np.asarray(table.memory.values(x.shape, "float32")).astype(x.dtype)
    else:
        x.detach().copy_(table.like(x) if x.dtype.is_floating_point else x.detach() + 1)


@move("numpy", "torch")
def held_arrays_change(table: Table, which: int, how: int) -> None:
    """What the rule holds: a mask is turned over, a rate halved."""
    for x in [x for key, x in table.world.held.items() if is_array(x) and not isinstance(key, int)]:
        turned = ~x if dtype_name(x) == "bool" else x / 2
        x[...] = turned


@move()
def extra_arguments(table: Table, which: int, how: int) -> None:
    """Numbers, arrays, words, trees; they stay for the next steps."""
    values: list[Callable[[], Any]] = [
        lambda: 0.5,
        lambda: 0.25,
        lambda: 2,
        lambda: 3,
        lambda: True,
        lambda: table.memory.array((), "float32"),
        lambda: np.float32(0.5),
        lambda: np.float64(0.25),
        lambda: "word",
        lambda: None,
        lambda: table.memory.array((5,), "float32"),
        lambda: [0.5, {"x": table.memory.array((1,), "float32")}],
        lambda: 1j,
        lambda: float("nan"),
        lambda: np.asarray(0.5),
        lambda: table.leaf("grads", which)[0],
    ]
    table.extra = {_pick(["value", "value", "other"], which): _pick(values, how)()}


@move()
def no_extra_arguments(table: Table, which: int, how: int) -> None:
    """From now on."""
    table.extra = {}


@move()
def rule_fails(table: Table, which: int, how: int) -> None:
    """In this step, if its Python is run; also where leaves are missing, so that it is."""
    table.world.failing = True
    table.undo.append(lambda: setattr(table.world, "failing", False))
    if how % 2:
        some_none(table, which, how)


# -- memory that changes behind the arrays ---------------------------------------------------------------------------


def _one_donated(table: Table, which: int, how: int) -> Any:
    return table.array(_pick(["params", "params", "state"], how), which)[0]


@move("numpy")
def made_read_only(table: Table, which: int, how: int) -> None:
    """For this step, or for good."""
    x = _one_donated(table, which, how)
    x.flags.writeable = False
    if how < 12:
        table.undo.append(lambda: x.setflags(write=True))


def _set(x: Any, name: str, value: Any) -> None:
    """Sets what NumPy would rather not have set."""
    importlib.import_module("warnings").simplefilter("ignore", DeprecationWarning)
    setattr(x, name, value)


@move("numpy")
def seen_otherwise(table: Table, which: int, how: int) -> None:
    """The same object has another dtype, shape or strides, for this step."""
    x = _one_donated(table, which, how)
    dtype, shape, strides = x.dtype, x.shape, x.strides
    same_size = {2: ["i2", "f2", "u2"], 4: ["i4", ">f4", "u4", "f4"], 8: ["i8", "c8", "f8", "M8[s]"]}
    changes: list[Callable[[], Any]] = [
        lambda: _set(x, "dtype", _pick(same_size[x.dtype.itemsize], how)),
        lambda: _set(x, "dtype", f"V{x.dtype.itemsize}"),
        lambda: _set(x, "shape", (*x.shape, 1)),
        lambda: _set(x, "shape", (-1,)),
        lambda: _set(x, "strides", (0,) * x.ndim),
        lambda: _set(x, "strides", x.strides[::-1]),
    ]

    def back() -> None:
        for name, value in (("dtype", dtype), ("shape", shape), ("strides", strides)):
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                _set(x, name, value)

    _pick(changes, how)()
    if how % 4:
        table.undo.append(back)


@move("numpy")
def moved_by_resize(table: Table, which: int, how: int) -> None:
    """An array that owns its memory is made much larger, and small again or not."""
    tree = _pick(["params", "state"], how)
    x, i = table.array(tree, which)
    if not x.flags.owndata or not x.flags.writeable:
        x = table.same(x, "owned")
        table.put(tree, i, x)
        table.undo.append(functools.partial(_resized, table, x, how))
    else:
        _resized(table, x, how)


def _resized(table: Table, x: Any, how: int) -> None:
    shape, all_ = x.shape, [*table.leaves(), *table.world.held.values()]
    if any([getattr(view, "base", None) is x for view in all_]):  # it would point to nowhere
        return
    with contextlib.suppress(ValueError):
        x.resize(_pick([(400_000,), (0,), (3,)], how), refcheck=False)
        if how % 4 < 3:
            x.resize(shape, refcheck=False)


@move("torch")
def memory_exchanged(table: Table, which: int, how: int) -> None:
    """``x.data = …``, ``x.set_(…)``: another place, another layout."""
    x = _one_donated(table, which, how)
    other = table.like(x, _pick(LAYOUTS, how // 2))
    if how % 2:
        x.data = other
    else:
        x.detach().set_(other)


@move("torch")
def tensor_changed(table: Table, which: int, how: int) -> None:
    """The same object has another shape, dtype or device, or none of its memory, for this step."""
    torch, x = _torch(), _one_donated(table, which, how)
    old = x.data
    changes: list[Callable[[], Any]] = [
        lambda: x.resize_((*x.shape, 2)),
        lambda: x.resize_((0,)),
        lambda: x.t_() if x.ndim == 2 else x.unsqueeze_(0),
        lambda: x.as_strided_(x.shape, (0,) * x.ndim),
        lambda: setattr(x, "data", x.data.double() if x.dtype != torch.float64 else x.data.float()),
        lambda: setattr(x, "data", x.data.reshape(-1)),
        lambda: setattr(x, "data", torch.empty_like(x.data, device="meta")),
        lambda: setattr(x, "data", x.data.to(torch.complex64).conj()),
        lambda: x.requires_grad_(),
        lambda: setattr(x, "data", torch.nn.Parameter(x.data.clone())),
        lambda: setattr(x, "data", x.data[:0]),
        lambda: setattr(x, "data", torch._neg_view(x.data.clone())),
    ]
    if how != 15:
        table.undo.append(lambda: setattr(x, "data", old))
    k = (how + which) % len(changes)
    if k == 0 and not x.untyped_storage().resizable():  # Torch raises, and leaves a tensor larger than its memory
        k = 1
    with torch.no_grad():
        changes[k]()


@move("torch")
def parameters_of_modules(table: Table, which: int, how: int) -> None:
    """All parameters are ``torch.nn.Parameter``."""
    torch = _torch()
    leaves, spec = flatten(table.params)
    table.params = spec.unflatten([torch.nn.Parameter(x, requires_grad=how % 2 > 0) for x in leaves])


@move("torch")
def all_on_meta(table: Table, which: int, how: int) -> None:
    """Everything, in this step or from now on."""
    torch = _torch()
    before = table.params, table.state

    def there(x: Any) -> Any:
        return torch.empty_like(x, device="meta") if is_array(x) and (x.ndim or how % 2) else x

    table.params, table.state, table.grads = [
        _mapped_tree(there, t) for t in (table.params, table.state, table.grads)
    ]
    if how < 12:
        table.undo += [lambda: setattr(table, "params", before[0]), lambda: setattr(table, "state", before[1])]


def _mapped_tree(f: Callable[[Any], Any], tree: Any) -> Any:
    leaves, spec = flatten(tree)
    return spec.unflatten([f(x) for x in leaves])


@move("jax")
def given_before(table: Table, which: int, how: int) -> None:
    """A parameter that an earlier step was given, and that is gone."""
    p, i = table.array("params", which)
    gone = importlib.import_module("jax.numpy").array(p, copy=True)
    gone.delete()
    table.put("params", i, gone)
    table.undo.append(lambda: table.put("params", i, p))


@move("jax")
def one_buffer_twice(table: Table, which: int, how: int) -> None:
    """A gradient, a parameter or a slot is another array over the buffer of one that is given away."""
    x, _ = table.array(_pick(["params", "state"], how), which)
    target = _pick(["grads", "params", "state"], how // 2)
    table.put(target, table.leaf(target, which + how // 6)[1], x.addressable_data(0))


@move("jax")
def numpy_among_them(table: Table, which: int, how: int) -> None:
    """Parameters or slots that are arrays of NumPy."""
    tree = _pick(["params", "state", "grads"], how)
    x, i = table.array(tree, which)
    table.put(tree, i, table.memory.put(np.array(x), _pick(LAYOUTS, how // 3), numpy=True))


# -- what is around --------------------------------------------------------------------------------------------------


@move()
def floating_point_errors_raise(table: Table, which: int, how: int) -> None:
    """NumPy's, in this step."""
    table.around.append(np.errstate(all=_pick(["raise", "ignore", "warn"], how)))


@move("torch")
def other_default_dtype(table: Table, which: int, how: int) -> None:
    """In this step."""
    torch = _torch()
    old = torch.get_default_dtype()
    torch.set_default_dtype(_pick([torch.bfloat16, torch.float64, torch.float16], how))
    table.undo.append(lambda: torch.set_default_dtype(old))


@move("torch")
def modes(table: Table, which: int, how: int) -> None:
    """No derivatives, or inference, or another default device."""
    torch = _torch()
    table.around.append(_pick([torch.no_grad, torch.inference_mode, lambda: torch.device("meta")], how)())


@move("numpy", "torch")
def another_thread(table: Table, which: int, how: int) -> None:
    """Takes a step of its own on the same `FusedStep`, at the same time."""
    if table.case.rule not in _ALONE:
        table.beside = functools.partial(_elsewhere, table, table.memory.array((5,), "float32"), how)


_ALONE = ("anchored", "noisy", "noisy_number", "raises_when_told")  # their world is one


def _elsewhere(table: Table, p: Any, how: int) -> None:
    """A step on trees of its own, compared with an eager one."""
    params = TREES[table.case.tree if how % 2 else "dict"]([p])
    world = World()
    prepared(world, table.library)
    world.held.update({key: twin(x) for key, x in table.world.held.items()})
    tx = RULES[table.case.rule](world)
    state, grads = tx.init(params), table.library.backend.copy(p) * 0 + 1
    grads = flatten(params)[1].unflatten([grads])
    wanted = eager(tx, twin(params), twin(grads), twin(state), {})
    before = twin((params, state))
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(table.step(params, grads, state))
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    table.undo.append(functools.partial(_joined, thread, found, wanted, before))


def _joined(thread: threading.Thread, found: list[Any], wanted: Any, before: Any) -> None:
    thread.join(60)
    if wanted.error is None:
        if not found or isinstance(found[0], Exception):
            raise Wrong(f"thread: {found}")
        assert_near(found[0], wanted.found, before, tolerance(before))
