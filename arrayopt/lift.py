"""From a formula of one leaf to an update of the whole tree.

`lift` maps the formula over the leaves and owns precision, so that formulas need not speak of it:

- arithmetic is done in at least float32, in float64 if any of the arrays met is double;
- the update comes back in the gradient's dtype, each slot in the dtype it had;
- hyper-parameters and the step reach the formula as Python numbers or in the leaf's real dtype, never in
  a 16-bit one;
- where the gradient is None, there is no update and the slots stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from arrayopt import dtypes
from arrayopt.advice import advice
from arrayopt.dispatch import backend, backend_named, is_array, library, namespace, same_library
from arrayopt.each import Each, mode
from arrayopt.mixed import Meeting, takes
from arrayopt.numerics import in_range
from arrayopt.tree.align import places
from arrayopt.tree.structure import Spec, flatten
from arrayopt.types import Array, Counter, DType, Params, Tree, Updates

Formula = Callable[..., Any]


class Site(NamedTuple):
    """Where in which tree a leaf is looked at, for messages."""

    who: str
    what: str
    spec: Spec
    place: int
    holder: str = "state"  # what the slots belong to

    def __str__(self) -> str:
        path = self.spec.path(self.place)
        return f"the {self.what} at {path}" if path else f"the {self.what}"


# -- making state -----------------------------------------------------------------------------------------


def parameters(who: str, params: Params, what: str = "parameter") -> tuple[list[Array], Spec]:
    """The leaves of the parameters, or of what else a message calls ``what``, each found fit to be optimized.

    Beside JAX's arrays NumPy's come back as JAX's; Python floats as 0-d arrays.

    Raises:
      TypeError: a leaf is no array, neither floating point nor complex, or of another library than the rest.
    """
    leaves, spec = flatten(params)
    leaves = Meeting(leaves).received(leaves)
    for i, leaf in enumerate(leaves):
        _check_fit(Site(who, what, spec, i), leaf, params)
        _check_library(Site(who, what, spec, i), leaf, leaves[0])
    return leaves, spec


def counter(params: Params) -> Counter:
    """A step counter at 0: a 0-d int32 array of the parameters' library (of NumPy if there are none).

    Within `count_per_parameter` it is a tree of them, one for each parameter.
    """
    leaves, spec = flatten(params)
    like = Meeting(leaves).like
    of = backend_named("numpy") if like is None else backend(like)
    if not mode.per_parameter:
        return of.counter(like)
    beside = [x if is_array(x) and same_library(x, like) else like for x in leaves]
    return spec.unflatten([of.counter(x) for x in beside])


def slots_like(who: str, params: Params, dtype: DType | None = None, *, real: bool = False) -> Tree:
    """Zeros shaped and placed like the parameters, to remember something about each.

    Args:
      who: name of the transform, for messages.
      params: the parameters.
      dtype: of the slots, or its name; by default the parameter's, but at least float32.
      real: whether the slot of a complex parameter is real.
    """
    leaves, spec = parameters(who, params)
    return spec.unflatten([zeros_slot(leaf, dtype, real=real) for leaf in leaves])


def zeros_slot(leaf: Array, dtype: DType | None = None, *, real: bool = False) -> Array:
    """One such slot. Derived from the leaf, so that it lies where the leaf lies, also when that is sharded."""
    kind = dtypes.widened(leaf.dtype) if dtype is None else dtypes.slot(dtype, leaf.dtype)
    kind = dtypes.real_part(kind) if real else kind
    return namespace(leaf).zeros_like(leaf, dtype=backend(leaf).dtype(kind))


# -- one update ---------------------------------------------------------------------------------------------


def lift(
    who: str,
    formula: Formula,
    updates: Updates,
    *slots: Tree,
    params: Params = None,
    what: str = "gradient",
    holder: str = "state",
    **scalars: Any,
) -> Any:
    """Apply a formula to every leaf.

    Args:
      who: name of the transform, for messages.
      formula: ``formula(g, *slots, **scalars) -> (update, *new slots)`` of one leaf, or ``-> update`` if there
        are no slots. It is given ``p=`` too, if parameters are.
      updates: tree of gradients; None where a parameter has none.
      *slots: trees of what is remembered about each parameter.
      params: tree of parameters, if the formula reads them.
      what: how messages call a leaf of ``updates``.
      holder: how messages call what the slots are.
      **scalars: numbers, 0-d arrays and switches, handed to the formula by name; of an `Each` each leaf is handed
        its own.

    Returns:
      The tree of updates, followed by the trees of new slots if there are any.

    Raises:
      StructureError: updates, slots and parameters do not have the same structure; the message names the path.
      ValueError: a gradient has not the shape of its parameter.
      TypeError: a gradient is no floating-point or complex array, or the arrays are of several libraries.
    """
    gs, spec = flatten(updates)
    sites = [Site(who, what, spec, i, holder) for i in range(len(gs))]
    columns = [_Column(who, what, spec, slot, holder) for slot in slots]
    olds = [column.along() for column in columns]
    ps = [] if params is None else _Column(who, what, spec, params, "parameter").along()
    meeting = Meeting(gs, *olds, ps)
    gs, ps = meeting.received(gs), meeting.received(ps) or [None] * len(gs)
    olds = [meeting.received(old, numbers=holder != "state") for old in olds]
    words = _Words(scalars)
    rows = list(zip(sites, gs, _transposed(olds, len(gs)), ps, words.own(who, what, spec), strict=True))
    results: list[list[Array]] = []
    if gs:
        _check_fit(sites[0], gs[0])
        look, work = partial(_check_leaf, gs[0]), partial(_on_leaf, formula, words)
        results = backend(gs[0]).each_leaf(rows, look, work)
    new, *new_slots = _transposed(results, len(slots) + 1)
    if not slots:
        return spec.unflatten(new)
    return spec.unflatten(new), *[c.replaced(s) for c, s in zip(columns, new_slots, strict=True)]


def _transposed(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    return [[row[i] for row in rows] for i in range(width)]


class _Column:
    """One tree read along the structure of the updates."""

    def __init__(self, who: str, what: str, updates: Spec, tree: Tree, name: str) -> None:
        self.leaves, self.spec = flatten(tree)
        self.places = places(updates, self.spec, f"{who}: the {what}", f"its {name}")

    def along(self) -> list[Any]:
        """Its leaves, one for each leaf of the updates."""
        return [self.leaves[i] for i in self.places]

    def replaced(self, new: Sequence[Array]) -> Tree:
        """The tree with new leaves there, and the old ones where there was no gradient."""
        leaves = list(self.leaves)
        for i, leaf in zip(self.places, new, strict=True):
            leaves[i] = leaf
        return self.spec.unflatten(leaves)


def _on_leaf(
    formula: Formula,
    words: _Words,
    site: Site,
    g: Array,
    slots: Sequence[Array],
    p: Array | None,
    own: dict[str, Any],
) -> list[Array]:
    met = [g, *slots] if p is None else [g, *slots, p]
    double, kinds = _widths(met)
    wide = [x if kind is None else cast(x, kind) for x, kind in zip(met, kinds, strict=True)]
    reads = {} if p is None else {"p": wide.pop()}
    out = formula(*wide, **words.of(site, g, double, own), **reads)
    news = out if slots else [out]
    update = settled(hand_on(_shaped(site, news[0], g), dtypes.slot(g.dtype, news[0].dtype)))  # complex, if that is
    narrow = remembered if site.holder == "state" else cast
    kept = [settled(narrow(*_storable(site, new, old))) for new, old in zip(news[1:], slots, strict=True)]
    return [_apart(update, kept), *kept]


_known_widths: dict[tuple[str, ...], tuple[bool, list[str | None]]] = {}  # by name: of all libraries, and few


def _widths(met: Sequence[Array]) -> tuple[bool, list[str | None]]:
    """Whether a leaf is computed in double, and the dtype each of its arrays is cast to; None: it has it."""
    key = tuple([dtypes.name(x.dtype) for x in met])
    found = _known_widths.get(key)
    if found is None:
        double = any(map(dtypes.is_double, key))
        kinds = [dtypes.widened(name, double) for name in key]
        found = double, [None if kind == name else kind for name, kind in zip(key, kinds, strict=True)]
        _known_widths[key] = found
    return found


class _Words:
    """The scalars of an update in the precision of a leaf, cast once for all leaves of that precision."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.each: dict[str, Any] = {name: value for name, value in given.items() if type(value) is Each}
        self.given = {name: x for name, x in given.items() if name not in self.each} if self.each else given
        self.cast: dict[bool, dict[str, Any]] = {}

    def own(self, who: str, what: str, spec: Spec) -> list[dict[str, Any]]:
        """For each leaf of the updates the scalars that are its own."""
        if not self.each:
            return [self.each] * spec.size
        columns = {
            name: [value.values[i] for i in places(spec, value.spec, f"{who}: the {what}", f"its {name}")]
            for name, value in self.each.items()
        }
        return [{name: column[i] for name, column in columns.items()} for i in range(spec.size)]

    def of(self, site: Site, g: Array, double: bool, own: dict[str, Any]) -> dict[str, Any]:
        kind = "float64" if double else "float32"
        if double not in self.cast:
            self.cast[double] = {name: _scalar(site, name, value, g, kind) for name, value in self.given.items()}
        shared = self.cast[double]
        return shared | {name: _scalar(site, name, value, g, kind) for name, value in own.items()} if own else shared


def _apart(update: Array, kept: Sequence[Array]) -> Array:
    """The update; a copy if it is a slot too, lest whoever changes it in place or donates it change the state."""
    return backend(update).copy(update) if any([update is slot for slot in kept]) else update


def cast(x: Array, kind: str) -> Array:
    """``x`` in the dtype of that name; the same array if it has it already."""
    return x if dtypes.name(x.dtype) == kind else namespace(x).astype(x, backend(x).dtype(kind))


def hand_on(x: Array, kind: str) -> Array:
    """``x`` in the dtype of that name, for the next link of a chain."""
    return x if dtypes.name(x.dtype) == kind else backend(x).hand_on(x, backend(x).dtype(kind))


def remembered(x: Array, kind: str) -> Array:
    """``x`` in the dtype of a slot: what a narrower one cannot hold becomes its greatest number, not infinite."""
    if dtypes.greatest(kind) < dtypes.greatest(x.dtype):
        x = in_range(x, x, kind)
    return cast(x, kind)


def _scalar(site: Site, name: str, value: Any, g: Array, kind: str) -> Any:
    if not is_array(value):
        return value
    check_scalar(site.who, name, value, g)
    return cast(backend(g).receive(value), kind)


def _shaped(site: Site, new: Array, old: Array) -> Array:
    """What was computed, if it has the shape of what it came from."""
    if new.shape != old.shape:
        raise ValueError(
            f"{site.who}: {site} meets a state that was not made for it: shape {tuple(old.shape)} would become "
            f"{tuple(new.shape)}."
        )
    return new


def _storable(site: Site, new: Array, old: Array) -> tuple[Array, str]:
    """A new slot, and the dtype it is to have."""
    if new.dtype != old.dtype:
        _check_narrowing(site, new, old)
    return _shaped(site, new, old), dtypes.name(old.dtype)


def settled(x: Array) -> Array:
    """``x`` as an array, where arithmetic on 0-d arrays may have made it a scalar."""
    return x if x.shape else backend(x).settle(x)


# -- what is looked at before anything is computed ------------------------------------------------------------


def _check_leaf(first: Any, site: Site, g: Any, slots: Sequence[Any], p: Any, own: Any) -> None:
    del own
    _check_fit(site, g)
    _check_library(site, g, first)
    if p is not None:
        _check_fit(site._replace(what="parameter"), p)
    for other in slots if p is None else [*slots, p]:
        if not is_array(other):
            raise TypeError(
                f"{site.who}: the {site.holder} that {site} meets must be an array; got {type(other).__name__} "
                f"{str(other)[:40]}."
            )
        _check_library(site, other, g)
    for other in slots if p is None else [p]:
        if tuple(g.shape) != tuple(other.shape):
            raise ValueError(
                f"{site.who}: {site} has shape {tuple(g.shape)}, its parameter has {tuple(other.shape)}."
            )


def _check_fit(site: Site, leaf: Any, tree: Tree = None) -> None:
    if not is_array(leaf):
        got = f"{type(leaf).__name__} {' '.join(str(leaf).split())[:40]}"
        raise TypeError(f"{site.who}: {site} must be an array; got {got}.{advice(leaf, tree)}")
    if not dtypes.is_inexact(leaf.dtype):
        why = dtypes.unfit(leaf.dtype)
        hint = " Put None in its place, or use masked." if why.startswith("must") else ""
        raise TypeError(f"{site.who}: {site} {why}.{advice(leaf, tree) or hint}")


def _check_library(site: Site, leaf: Any, other: Any) -> None:
    if not same_library(leaf, other):
        raise TypeError(
            f"{site.who}: all arrays must be of one library; {site} meets both {library(other)} and {library(leaf)}."
        )


def _check_narrowing(site: Site, new: Any, old: Any) -> None:
    if not dtypes.is_inexact(old.dtype):
        raise TypeError(f"{site.who}: the {site.holder} that {site} meets {dtypes.unfit(old.dtype)}.")
    if dtypes.is_complex(new.dtype) and not dtypes.is_complex(old.dtype):
        raise TypeError(
            f"{site.who}: {site} and its parameter must be both real or both complex; one is complex, "
            f"the other {dtypes.name(old.dtype)}."
        )


def check_scalar(who: str, name: str, value: Any, tree: Tree) -> None:
    """Raises TypeError if a scalar is an array, but of another library than the arrays of a tree."""
    for leaf in flatten(tree)[0] if is_array(value) else ():
        if is_array(leaf) and not takes(leaf, value):
            raise TypeError(
                f"{who}: {name} must be a number or an array of the gradients' library, {library(leaf)}; "
                f"got one of {library(value)}."
            )
