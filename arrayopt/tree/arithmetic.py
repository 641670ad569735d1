"""Trees as vectors: sums, products and norms over all leaves, under the names of ``optax.tree``."""

from __future__ import annotations

import math
import operator
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from arrayopt import dtypes, numerics
from arrayopt.dispatch import backend, backend_named, is_array, namespace
from arrayopt.mixed import Meeting
from arrayopt.tree.align import subtrees
from arrayopt.tree.structure import Spec, flatten
from arrayopt.types import Array, DType, Scalar, Tree


def map(f: Callable[..., Any], tree: Tree, *rest: Tree, is_leaf: Callable[[Any], bool] | None = None) -> Tree:
    """The tree of ``f(leaf, *leaves of rest)``.

    Args:
      f: function of one leaf of each tree.
      tree: gives the structure; None holds no leaf.
      *rest: trees that have ``tree`` as a prefix; where it ends earlier, ``f`` gets their subtrees.
      is_leaf: says of a subtree of ``tree`` that it is to be taken as one leaf.

    Raises:
      StructureError: ``tree`` is no prefix of one of the rest; the message names the path.

    Example:
      >>> import arrayopt
      >>> arrayopt.tree.map(lambda x, y: x + y, {"a": 1, "b": (2, None)}, {"a": 10, "b": (20, None)})
      {'a': 11, 'b': (22, None)}
    """
    leaves, spec = flatten(tree, is_leaf)
    columns = [subtrees(spec, other, "tree.map: a further tree") for other in rest]
    return spec.unflatten([f(*row) for row in zip(leaves, *columns, strict=True)])


def _map(f: Callable[..., Any], tree: Tree, *rest: Tree) -> Tree:
    """The same for functions of arrays: beside JAX's arrays NumPy's are JAX's, and Python floats are 0-d arrays."""
    found, spec = flatten(tree)
    columns = [found, *[subtrees(spec, other, "tree.map: a further tree") for other in rest]]
    meeting = Meeting(*columns)
    return spec.unflatten([f(*row) for row in zip(*[meeting.received(column) for column in columns], strict=True)])


def leaves(tree: Tree) -> list[Any]:
    """The leaves in order: ``leaves({"b": 1, "a": (2, None)}) == [2, 1]``."""
    return flatten(tree)[0]


def _like(maker: str, tree: Tree, dtype: DType | None, *value: Any) -> Tree:
    def make(x: Array) -> Array:
        kind = x.dtype if dtype is None else backend(x).dtype(dtypes.name(dtype))
        return typing.cast(Array, getattr(namespace(x), maker)(x, *value, dtype=kind))

    return _map(make, tree)


def zeros_like(tree: Tree, dtype: DType | None = None) -> Tree:
    """Zeros shaped and placed like the leaves, of their dtypes or of the one named."""
    return _like("zeros_like", tree, dtype)


def ones_like(tree: Tree, dtype: DType | None = None) -> Tree:
    """Ones shaped and placed like the leaves, of their dtypes or of the one named."""
    return _like("ones_like", tree, dtype)


def full_like(tree: Tree, fill_value: Any, dtype: DType | None = None) -> Tree:
    """Arrays full of one value, shaped and placed like the leaves."""
    return _like("full_like", tree, dtype, fill_value)


def batch_shape(tree: Tree, shape: tuple[int, ...] = ()) -> Tree:
    """The leaves repeated along new first axes of this shape.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.tree.batch_shape({"a": np.asarray([1.0, 2.0])}, (2,))
      {'a': array([[1., 2.],
             [1., 2.]])}
    """

    def repeated(x: Array) -> Array:
        return backend(x).copy(namespace(x).broadcast_to(x, (*shape, *x.shape)))

    return flatten(tree)[1].unflatten([repeated(x) for x in _arrays("batch_shape", tree)])


def cast(tree: Tree, dtype: DType | None) -> Tree:
    """The leaves in the dtype given, by any library's name for it; None leaves them as they are."""
    if dtype is None:
        return tree
    kind = dtypes.name(dtype)

    def cast_(x: Array) -> Array:
        return _as(x, kind)

    return _map(cast_, tree)


def cast_like(tree: Tree, other_tree: Tree) -> Tree:
    """The leaves of ``tree`` in the dtypes of those of ``other_tree``."""

    def cast_(x: Array, y: Array) -> Array:
        return _as(x, dtypes.name(y.dtype))

    return _map(cast_, tree, other_tree)


def _as(x: Array, kind: str) -> Array:
    return x if dtypes.name(x.dtype) == kind else namespace(x).astype(x, backend(x).dtype(kind))


def _word(name: str, **options: Any) -> Callable[[Array], Array]:
    """A function of the standard, of whichever library the array is."""

    def word(x: Array) -> Array:
        return typing.cast(Array, getattr(namespace(x), name)(x, **options))

    return word


def add(tree_x: Tree, tree_y: Tree, *other_trees: Tree) -> Tree:
    """x + y + …, leaf by leaf."""
    return map(_sum_of, tree_x, tree_y, *other_trees)


def _sum_of(x: Any, *ys: Any) -> Any:
    for y in ys:
        x = x + y
    return x


def sub(tree_x: Tree, tree_y: Tree) -> Tree:
    """x − y, leaf by leaf."""
    return map(operator.sub, tree_x, tree_y)


def mul(tree_x: Tree, tree_y: Tree) -> Tree:
    """x · y, leaf by leaf."""
    return map(operator.mul, tree_x, tree_y)


def div(tree_x: Tree, tree_y: Tree) -> Tree:
    """x / y, leaf by leaf."""

    def quotient(x: Any, y: Any) -> Any:
        return x / y

    return map(quotient, tree_x, tree_y)


def scale(scalar: Scalar, tree: Tree) -> Tree:
    """a · x, leaf by leaf.

    Example:
      >>> import arrayopt
      >>> arrayopt.tree.scale(2.0, {"a": 1.0, "b": 3.0})
      {'a': 2.0, 'b': 6.0}
    """
    return map(partial(operator.mul, scalar), tree)


def add_scale(tree_x: Tree, scalar: Scalar, tree_y: Tree) -> Tree:
    """x + a · y, leaf by leaf."""
    return map(operator.add, tree_x, scale(scalar, tree_y))


def conj(tree: Tree) -> Tree:
    """The complex conjugate, leaf by leaf."""
    return _map(_word("conj"), tree)


def real(tree: Tree) -> Tree:
    """The real part, leaf by leaf."""
    return _map(_word("real"), tree)


def clip(tree: Tree, min_value: Scalar | None = None, max_value: Scalar | None = None) -> Tree:
    """The leaves, each entry brought into [min_value, max_value]; None leaves a side open."""
    return _map(_word("clip", min=min_value, max=max_value), tree)


def where(condition: Any, tree_x: Tree, tree_y: Tree) -> Tree:
    """x where the condition (a bool, an array, or a tree of them) holds, else y."""
    flags, spec = flatten(condition)
    if spec.size == 1 and flags[0] is condition:
        meeting = Meeting(flags, leaves(tree_x), leaves(tree_y))
        (flag,) = meeting.received(flags)
        return _map(partial(numerics.where, flag), tree_x, tree_y)
    return _map(numerics.where, condition, tree_x, tree_y)


# -- over all leaves together ---------------------------------------------------------------------------------


def size(tree: Tree) -> int:
    """The number of entries of all leaves together.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.tree.size({"w": np.zeros((2, 3)), "b": np.zeros(3)})
      9
    """
    return math.fsum([math.prod(x.shape) for x in _arrays("size", tree)]).__int__()


def _arrays(who: str, tree: Tree) -> list[Array]:
    """The leaves as arrays of one library: a Python number becomes one, of NumPy if there are no others.

    Raises:
      TypeError: a leaf is neither an array nor a number.
    """
    found, spec = flatten(tree)
    meeting = Meeting(found)
    return [_array(who, spec, i, x, meeting.like) for i, x in enumerate(meeting.received(found, numbers=False))]


def _array(who: str, spec: Spec, place: int, x: Any, like: Array | None) -> Array:
    if is_array(x):
        return typing.cast(Array, x)
    if not isinstance(x, (int, float, complex)):
        raise TypeError(
            f"tree.{who}: the leaf at {spec.paths()[place]} must be an array or a number; got {type(x).__name__}."
        )
    if like is None:
        return backend_named("numpy").asarray(x)
    whole = not dtypes.is_inexact(like.dtype) and isinstance(x, int)
    return backend(like).asarray(x, dtypes.name(like.dtype) if whole else _number_dtype(x, like))


def _number_dtype(x: complex, like: Array) -> str:
    double = dtypes.is_double(like.dtype)
    return dtypes.widened("complex64" if isinstance(x, complex) else "float32", double)


def widest(xs: Sequence[Array]) -> str:
    """The real dtype that a norm of arrays has: float64 if one of them is double, else float32."""
    return "float64" if any([dtypes.is_double(x.dtype) for x in xs]) else "float32"


def _together(parts: list[Any]) -> Any:
    """The sum of scalars of possibly several dtypes, in the widest; of integers, an integer."""
    if not any([dtypes.is_inexact(x.dtype) for x in parts]):
        return _sum_of(*parts)
    double = any([dtypes.is_double(x.dtype) for x in parts])
    return _sum_of(*[_as(x, dtypes.widened(x.dtype, double)) for x in parts])


def sum(tree: Tree) -> Any:
    """The sum of all entries, formed in at least float32, of integers in integers; 0 for a tree without leaves."""
    parts = [_total(x) for x in _arrays("sum", tree)]
    return _together(parts) if parts else 0


def _total(x: Array) -> Array:
    return numerics.total(_widened(x)) if dtypes.is_inexact(x.dtype) else namespace(x).sum(x)


def vdot(tree_x: Tree, tree_y: Tree) -> Any:
    """The inner product Σ conj(x) · y over all leaves, formed in at least float32."""

    def product(x: Array, y: Array) -> Array:
        return _widened(namespace(x).conj(x)) * _widened(y)

    return sum(_map(product, tree_x, tree_y))


def _widened(x: Array) -> Array:
    return _as(x, dtypes.widened(x.dtype))


def norm(tree: Tree, ord: int | str | float | None = None, squared: bool = False) -> Any:
    """The norm of all leaves taken as one vector, formed in at least float32.

    Args:
      tree: arrays, real or complex.
      ord: 2 or None for Euclidean, 1 for the sum of magnitudes, ``"inf"`` or ``float("inf")`` for the greatest.
      squared: whether to answer the square.

    Returns:
      A real 0-d array; 0.0 for a tree without leaves.

    Raises:
      ValueError: another ``ord``.

    Example:
      >>> import arrayopt, numpy as np
      >>> arrayopt.tree.norm({"a": np.asarray([3.0]), "b": np.asarray([[4.0]])}).item()
      5.0
    """
    if ord not in (None, 1, 2, "inf", "infinity", math.inf):
        raise ValueError(f"tree.norm: ord must be None, 1, 2 or inf; got {ord!r}.")
    xs = _arrays("norm", tree)
    if not xs:
        return 0.0
    if ord not in (None, 1, 2):
        answer = max([numerics.magnitude(_widened(x)) for x in xs])
    elif ord == 1:
        answer = _together([_total_magnitude(x) for x in xs])
    else:
        divisor, rest = numerics.length([_widened(x) for x in xs])
        answer = divisor * rest
    return _as(answer * answer if squared else answer, widest(xs))


def _total_magnitude(x: Array) -> Array:
    wide = dtypes.name(backend(x).wide())
    return numerics.total(_as(numerics.magnitude(_widened(x)), dtypes.widened(wide)))


def max(tree: Tree) -> Any:
    """The greatest entry of all leaves; −inf for a tree without entries. NaN if there is one."""
    return _extreme("max", "maximum", tree, -math.inf)


def min(tree: Tree) -> Any:
    """The smallest entry of all leaves; inf for a tree without entries. NaN if there is one."""
    return _extreme("min", "minimum", tree, math.inf)


def _extreme(reduce: str, pair: str, tree: Tree, empty: float) -> Any:
    parts = [getattr(namespace(x), reduce)(x) for x in _arrays(reduce, tree) if math.prod(x.shape)]
    if not parts:
        return empty
    found = parts[0]
    for part in parts[1:]:
        double = dtypes.is_double(found.dtype) or dtypes.is_double(part.dtype)
        a, b = [_as(x, dtypes.widened(x.dtype, double)) for x in (found, part)]
        found = getattr(namespace(a), pair)(a, b)
    return found


def allclose(a: Tree, b: Tree, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all entries agree: |a − b| ≤ atol + rtol·|b|. True for trees without leaves."""

    def close(x: Array, y: Array) -> Array:
        xp = namespace(x)
        near = xp.abs(x - y) <= atol + rtol * xp.abs(y)
        near = near | (x == y)
        both = xp.isnan(x) & xp.isnan(y)
        return xp.all(near | both if equal_nan else near)

    answers = leaves(_map(close, a, b))
    if not answers:
        return True
    found = answers[0]
    for answer in answers[1:]:
        found = found & answer
    return found


def dtype(tree: Tree, mixed_dtype_handler: str | None = None) -> DType:
    """The dtype of the leaves.

    Args:
      tree: arrays.
      mixed_dtype_handler: what to answer if there are several: ``"promote"`` for the one they promote to,
        ``"highest"`` or ``"lowest"`` for the widest or narrowest among them; None to raise.

    Raises:
      ValueError: the dtypes differ and no handler is named, or the tree has no leaves.
    """
    arrays = _arrays("dtype", tree)
    found = {dtypes.name(x.dtype): x.dtype for x in arrays}
    if not found:
        raise ValueError("tree.dtype: the tree has no leaves.")
    if len(found) == 1:
        return next(iter(found.values()))
    if mixed_dtype_handler == "promote":
        return namespace(arrays[0]).result_type(*found.values())
    if mixed_dtype_handler in ("highest", "lowest"):
        ranked = sorted(found, key=dtypes.rank)
        return found[ranked[-1 if mixed_dtype_handler == "highest" else 0]]
    raise ValueError(f"tree.dtype: the leaves must have one dtype; got {', '.join(sorted(found))}.")


# -- averages over steps, as trees ---------------------------------------------------------------------------


def update_moment(updates: Tree, moments: Tree, decay: Scalar, order: int) -> Tree:
    """The moving average of gᵒ, leaf by leaf: m ← β m + (1 − β) gᵒ."""

    def averaged(g: Array, m: Array) -> Array:
        return numerics.wide_ema(m, g if order == 1 else numerics.held(g, order) ** order, decay)

    return _map(averaged, updates, moments)


def update_moment_per_elem_norm(updates: Tree, moments: Tree, decay: Scalar, order: int) -> Tree:
    """The moving average of |g|ᵒ, leaf by leaf; real also for complex gradients."""

    def averaged(g: Array, m: Array) -> Array:
        g = numerics.held(g, order)
        power = numerics.abs2(g) ** (order // 2) if order % 2 == 0 else numerics.magnitude(g) ** order
        return numerics.wide_ema(m, power, decay)

    return _map(averaged, updates, moments)


def update_infinity_moment(updates: Tree, moments: Tree, decay: Scalar, eps: Scalar) -> Tree:
    """The decaying maximum, leaf by leaf: m ← max(|g| + ε, β m)."""

    def greater(g: Array, m: Array) -> Array:
        return namespace(g).maximum(numerics.magnitude(g) + eps, decay * m)

    return _map(greater, updates, moments)


def bias_correction(moment: Tree, decay: Scalar, count: Any) -> Tree:
    """Averages that began at zero, after ``count`` steps: m / (1 − βᵗ), leaf by leaf."""

    def corrected(m: Array) -> Array:
        t = count if isinstance(count, (int, float)) else _as(count, dtypes.real_part(m.dtype))
        return numerics.unbias(m, decay, t)

    return _map(corrected, moment)
