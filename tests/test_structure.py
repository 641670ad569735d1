"""Trees taken apart and put together: containers, order, registries, paths, alignment."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import weakref
from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import arrayopt
from arrayopt.tree import StructureError, flatten
from arrayopt.tree.align import places, subtrees
from arrayopt.tree.reading import reader
from arrayopt.tree.structure import LEAF


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass
class Layer:
    weight: Any
    bias: Any = None
    name: str = field(default="dense", metadata={"static": True})


@dataclass(frozen=True)
class Frozen:
    x: Any


TREES = [
    1.0,
    None,
    {},
    [],
    (),
    {"b": 1, "a": 2},
    {1: "x", "a": "y", (2,): "z"},
    OrderedDict([("b", 1), ("a", 2)]),
    defaultdict(list, {"b": 1, "a": None}),
    Pair([1, None], {"k": (2,)}),
    Layer(1, [2, 3]),
    Frozen({"x": 1}),
    [(1, [2, {"c": Pair(3, None)}]), None],
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_unflatten_restores_the_tree(tree: Any) -> None:
    leaves, spec = flatten(tree)
    again = spec.unflatten(leaves)
    assert again == tree
    assert type(again) is type(tree)
    assert spec.size == len(leaves) == len(spec.paths())
    assert flatten(again)[1] == spec
    assert hash(flatten(again)[1]) == hash(spec)


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_each_path_leads_to_its_leaf(tree: Any) -> None:
    leaves, spec = flatten(tree)
    for path, leaf in zip(spec.paths(), leaves, strict=True):
        assert eval(f"tree{path}", {"tree": tree}) == leaf


def test_different_structures_differ() -> None:
    specs = [flatten(tree)[1] for tree in TREES]
    assert len(set(specs)) == len(TREES)


def test_dicts_are_read_by_sorted_key_and_rebuilt_in_the_callers_order() -> None:
    leaves, spec = flatten({"b": 1, "a": 2})
    assert leaves == [2, 1]
    assert list(spec.unflatten([20, 10]).items()) == [("b", 10), ("a", 20)]
    assert spec == flatten({"a": 0, "b": 0})[1]


def test_ordered_dicts_keep_their_order() -> None:
    assert flatten(OrderedDict([("b", 1), ("a", 2)]))[0] == [1, 2]


def test_defaultdict_keeps_its_factory() -> None:
    leaves, spec = flatten(defaultdict(list, {"a": 1}))
    again = spec.unflatten(leaves)
    assert again["new"] == []


def test_static_fields_of_a_dataclass_belong_to_the_structure() -> None:
    assert flatten(Layer(1, 2))[1] != flatten(Layer(1, 2, name="other"))[1]
    assert flatten(Layer(1, 2))[0] == [1, 2]


def test_is_leaf_stops_the_walk() -> None:
    leaves, _ = flatten([None, (1, 2)], is_leaf=lambda x: x is None or isinstance(x, tuple))
    assert leaves == [None, (1, 2)]


def test_unknown_objects_are_leaves() -> None:
    odd = object()
    assert flatten([odd])[0] == [odd]
    assert flatten(odd)[1] is LEAF


@pytest.mark.parametrize(
    ("inner", "outer", "found"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, [0, 1]),
        ({"a": None, "b": 2}, {"a": 1, "b": 2}, [1]),
        ({"a": None, "b": 2}, {"a": [1, 2, (3,)], "b": 2}, [3]),
        (None, {"a": 1}, []),
        ([None, [1, None]], [(1, 2), [3, 4]], [2]),
    ],
)
def test_none_stands_for_any_subtree(inner: Any, outer: Any, found: list[int]) -> None:
    assert places(flatten(inner)[1], flatten(outer)[1]) == found


@pytest.mark.parametrize(
    ("inner", "outer", "message"),
    [
        ({"a": 1}, {"b": 1}, "x has dict(['a']), y has dict(['b'])."),
        ({"l": [1, 2]}, {"l": [1]}, "x has list([0], [1]) at ['l'], y has list([0])."),
        ({"l": [1, 2]}, {"l": [1, None]}, "x has an array at ['l'][1], y has None."),
        ([1], (1,), "x has list([0]), y has tuple([0])."),
        (1, [1], "x has an array, y has list([0])."),
    ],
)
def test_a_mismatch_names_both_and_the_path(inner: Any, outer: Any, message: str) -> None:
    with pytest.raises(StructureError) as caught:
        places(flatten(inner)[1], flatten(outer)[1], "x", "y")
    assert str(caught.value) == message


def test_subtrees_gives_what_lies_below_a_prefix() -> None:
    assert subtrees(flatten({"a": 0, "b": 0})[1], {"a": [1, 2], "b": None}) == [[1, 2], None]
    assert subtrees(flatten({"a": [0, 0]})[1], {"a": None}) == [None, None]
    with pytest.raises(StructureError, match=r"\['a'\]"):
        subtrees(flatten({"a": [0, 0]})[1], {"a": 1})


def test_a_spec_of_plain_containers_survives_many_leaves() -> None:
    tree = {f"k{i}": [float(i)] * 3 for i in range(1000)}
    leaves, spec = flatten(tree)
    assert spec.unflatten(leaves) == tree
    assert len(leaves) == 3000


def test_state_pickles() -> None:
    state = arrayopt.adam(0.1).init({"w": np.ones(2)})
    again = pickle.loads(pickle.dumps(state))
    assert flatten(again)[1] == flatten(state)[1]


JAX_NODES = """
import sys
import numpy as np
from arrayopt.tree import flatten
assert "jax" not in sys.modules
import jax
class Box:
    def __init__(self, x): self.x = x
assert len(flatten([Box(1), Box(2)])[0]) == 2 and type(flatten(Box(1))[0][0]) is Box
jax.tree_util.register_pytree_node(Box, lambda b: ((b.x,), None), lambda _, c: Box(*c))
leaves, spec = flatten({"b": Box([1, 2])})
assert leaves == [1, 2], leaves
assert spec.unflatten([3, 4])["b"].x == [3, 4]
assert spec == flatten({"b": Box([5, 6])})[1]
print(spec.paths())
"""

TORCH_NODES = """
import sys
from arrayopt.tree import flatten
import torch
import torch.utils._pytree as pytree
class Box:
    def __init__(self, x): self.x = x
pytree.register_pytree_node(Box, lambda b: ([b.x], None), lambda c, _: Box(*c), serialized_type_name="Box")
leaves, spec = flatten({"b": Box([1, 2])})
assert leaves == [1, 2], leaves
assert spec.unflatten([3, 4])["b"].x == [3, 4]
assert "jax" not in sys.modules
print(spec.paths())
"""


@pytest.mark.parametrize(("library", "program"), [("jax", JAX_NODES), ("torch", TORCH_NODES)])
def test_nodes_registered_elsewhere_are_seen(library: str, program: str) -> None:
    pytest.importorskip(library)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "['b']" in done.stdout


@pytest.mark.parametrize("tree", [t for t in TREES if not isinstance(t, (Layer, Frozen))], ids=repr)
def test_leaf_order_is_that_of_jax(tree: Any) -> None:
    jax = pytest.importorskip("jax")
    if isinstance(tree, dict) and len({type(key) for key in tree}) > 1:
        with pytest.raises(ValueError):
            jax.tree.leaves(tree)
        return
    assert flatten(tree)[0] == jax.tree.leaves(tree)


def test_the_path_of_one_leaf_is_that_among_all() -> None:
    for tree in [*TREES, [None, None, 1, None, {"a": None, "b": [2]}, None]]:
        _, spec = flatten(tree)
        assert [spec.path(place) for place in range(spec.size)] == spec.paths()
        for place in (-1, spec.size):
            with pytest.raises(IndexError, match=f"got {place}"):
                spec.path(place)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_unflatten_wants_as_many_leaves_as_there_are(count: int) -> None:
    _, spec = flatten({"a": 1, "b": [2]})
    with pytest.raises(ValueError, match=f"a structure of 2 leaves must be given as many; got {count}"):
        spec.unflatten(iter(range(count)))


def test_a_class_is_a_leaf() -> None:
    for kind in (Layer, Pair, dict, np.ndarray):
        assert flatten({"cls": kind})[0] == [kind]
        with pytest.raises(TypeError, match=r"adam: the parameter at \['cls'\] must be"):
            arrayopt.adam(0.1).init({"w": np.ones(1), "cls": kind})


def test_a_container_within_itself_is_refused() -> None:
    loop: list[Any] = [1.0]
    loop.append({"again": loop})
    for f in (flatten, arrayopt.adam(0.1).init, lambda tree: arrayopt.tree.get(tree, "x")):
        with pytest.raises(ValueError, match="a container must not lie within itself"):
            f(loop)


@pytest.mark.parametrize("kind", [dict, OrderedDict, list, Pair, Layer, "defaultdict", "jax", "torch"])
def test_a_structure_keeps_no_array_alive(kind: Any) -> None:
    makers: dict[Any, Any] = {
        list: lambda x: [x],
        Pair: lambda x: Pair(x, None),
        Layer: Layer,
        "defaultdict": lambda x: defaultdict(list, a=x),
        "jax": lambda x: pytest.importorskip("flax.core").FrozenDict(a=x),
        "torch": lambda x: pytest.importorskip("torch").fx.immutable_collections.immutable_list([x]),
    }
    x = np.ones(3)
    spec = flatten(makers.get(kind, lambda x: kind(a=x))(x))[1]
    assert spec.size == 1
    seen = weakref.ref(x)
    del x
    gc.collect()
    assert seen() is None


# -- metadata of any kind -------------------------------------------------------------------------------------


@dataclass
class Grid:
    w: Any
    mesh: Any = field(default=None, metadata={"static": True})


class Raising:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no answer")

    __hash__: Any = None


class Answering(Raising):
    def __eq__(self, other: object) -> Any:
        return np.asarray([True, False])


@dataclass
class Config:
    table: Any


def looped() -> Any:
    loop: list[Any] = [1]
    loop.append(loop)
    return loop


LIKE: dict[str, Any] = {
    "array": lambda: np.arange(3),
    "no entries": lambda: np.zeros((0, 2)),
    "one entry": lambda: np.ones(1),
    "array with NaN": lambda: np.asarray([1.0, np.nan]),
    "strings": lambda: np.asarray(["a", "b"]),
    "objects": lambda: np.asarray([1, "a", None], dtype=object),
    "NumPy scalar": lambda: np.float32("nan"),
    "nested": lambda: {"a": [np.arange(2), (np.ones(1), float("nan"))]},
    "NaN": lambda: float("nan"),
    "complex NaN": lambda: complex("nan"),
    "list": lambda: [1, 2],
    "in a dataclass": lambda: Config(np.arange(3)),
    "NaN key": lambda: {float("nan"): 1, 2.0: 3},
    "looped": looped,
}
UNLIKE: dict[str, tuple[Any, Any]] = {
    "entries": (np.arange(3), np.arange(1, 4)),
    "dtype": (np.arange(3), np.arange(3.0)),
    "shape": (np.ones(1), np.ones((1, 1))),
    "array against number": (np.ones(1), 1.0),
    "array against None": (np.ones(1), None),
    "words": ("a", "b"),
    "list": ([1], [2]),
    "list against tuple": ([1], (1,)),
    "functions": (lambda: 0, lambda: 0),
    "raising": (Raising(), Raising()),
    "answering an array": (Answering(), Answering()),
    "in a dataclass": (Config(np.arange(3)), Config(np.arange(2))),
    "long": (np.zeros(2000), np.concatenate([np.zeros(1000), np.ones(1), np.zeros(999)])),
}


@pytest.mark.parametrize("make", LIKE.values(), ids=LIKE)
def test_static_fields_that_are_alike_agree(make: Any) -> None:
    a, b = Grid(np.ones(1), make()), Grid(np.ones(1), make())
    one, two = flatten(a)[1], flatten(b)[1]
    assert one == two and hash(one) == hash(two)
    assert {one: "kept"}[two] == "kept"
    assert arrayopt.apply_updates(a, b).w == [2.0]
    assert reader(one)(b, [])


@pytest.mark.parametrize(("x", "y"), UNLIKE.values(), ids=UNLIKE)
def test_static_fields_that_differ_are_named(x: Any, y: Any) -> None:
    for a, b in ((x, y), (y, x)):
        assert flatten(Grid(1.0, a))[1] != flatten(Grid(1.0, b))[1]
        assert not reader(flatten(Grid(1.0, a))[1])(Grid(1.0, b), [])
        with pytest.raises(StructureError) as caught:
            arrayopt.apply_updates({"k": Grid(np.ones(1), a)}, {"k": Grid(np.ones(1), b)})
        update, parameter = str(caught.value).split(", its parameter has ")
        assert update.startswith("apply_updates: the update has Grid(.w) with mesh = ")
        assert "at ['k']" in update
        alike = update.split(" with ")[1].split(" at ")[0] == parameter.split(" with ")[1].split(". These")[0]
        assert alike == ("look alike, and are not equal" in parameter)


def test_a_static_value_that_is_the_same_object_agrees_whatever_it_is() -> None:
    for value in (Raising(), Answering(), lambda: 0, object()):
        assert flatten(Grid(1.0, value))[1] == flatten(Grid(2.0, value))[1]


def test_static_arrays_of_other_libraries() -> None:
    jax = pytest.importorskip("jax")
    torch = pytest.importorskip("torch")
    for ones in (jax.numpy.ones, torch.ones, lambda n: np.ones(n).view(np.ma.MaskedArray)):
        assert flatten(Grid(1.0, ones(3)))[1] == flatten(Grid(1.0, ones(3)))[1]
        assert flatten(Grid(1.0, ones(3)))[1] != flatten(Grid(1.0, ones(3) + 1))[1]
    meta = torch.ones(3, device="meta")
    assert flatten(Grid(1.0, meta))[1] == flatten(Grid(1.0, meta))[1]
    assert flatten(Grid(1.0, meta))[1] != flatten(Grid(1.0, torch.ones(3, device="meta")))[1]

    def traced(x: Any) -> Any:
        assert flatten(Grid(1.0, x))[1] == flatten(Grid(1.0, x))[1]
        assert flatten(Grid(1.0, x))[1] != flatten(Grid(1.0, x + 0))[1]
        return x

    with jax.checking_leaks():
        jax.jit(traced)(jax.numpy.ones(3))


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_static_arrays_of_an_equinox_module() -> None:
    eqx = pytest.importorskip("equinox")
    field_ = eqx.field(static=True)
    Module = type("Module", (eqx.Module,), {"__annotations__": {"w": Any, "table": Any}, "table": field_})
    a, b, c = Module(np.ones(1), np.arange(3)), Module(np.ones(1), np.arange(3)), Module(np.ones(1), np.arange(4))
    assert flatten(a)[1] == flatten(b)[1]
    assert arrayopt.apply_updates(a, b).w == [2.0]
    with pytest.raises(StructureError, match=r"Module\(\.w\) with table = array\(\[0, 1, 2, 3\]\), its"):
        arrayopt.apply_updates(a, c)


REGISTERED = """
import numpy as np, arrayopt, {library}
class Box:
    def __init__(self, x, table): self.x, self.table = x, table
{register}
a, b, c = [Box(np.ones(1), np.arange(n)) for n in (3, 3, 4)]
assert arrayopt.tree.flatten(a)[1] == arrayopt.tree.flatten(b)[1]
assert arrayopt.apply_updates(a, b).x == [2.0]
try:
    arrayopt.apply_updates(a, c)
except arrayopt.tree.StructureError as error:
    print(error)
"""
REGISTER = {
    "jax": "jax.tree_util.register_pytree_node(Box, lambda b: ((b.x,), b.table), lambda t, c: Box(c[0], t))",
    "torch": "import torch.utils._pytree as p\n"
    "p.register_pytree_node(Box, lambda b: ([b.x], b.table), lambda c, t: Box(c[0], t), serialized_type_name='Box')",
}


@pytest.mark.parametrize("library", REGISTER)
def test_metadata_of_registered_nodes(library: str) -> None:
    pytest.importorskip(library)
    program = REGISTERED.format(library=library, register=REGISTER[library])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "array([0, 1, 2, 3])" in done.stdout and "array([0, 1, 2])" in done.stdout


# -- keys -----------------------------------------------------------------------------------------------------

A, B = frozenset({1, 2}), frozenset({2, 3})
NAN = float("nan")


class Key:
    """A key that is in no order with others, and that can be compared with itself only."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __lt__(self, other: object) -> bool:
        raise RuntimeError("no order")

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self.name == other.name


@pytest.mark.parametrize(
    ("x", "y"),
    [(A, B), (NAN, 1.0), ((1, "a"), ("a", 1)), (Key("x"), Key("y")), ("a", b"a"), (None, 1), (1 + 2j, 3j), (A, NAN)],
)
@pytest.mark.parametrize("kind", [dict, "defaultdict"])
def test_dicts_are_aligned_by_key_whatever_the_keys(kind: Any, x: Any, y: Any) -> None:
    def make(*pairs: Any) -> Any:
        return dict(pairs) if kind is dict else defaultdict(list, pairs)

    params = make((x, np.zeros(1)), (y, [np.zeros(1), np.zeros(1)]))
    grads = make((y, [np.full(1, 2.0), None]), (x, np.full(1, 1.0)))
    new = arrayopt.apply_updates(params, grads)
    assert list(new) == [x, y]
    assert (new[x], new[y]) == ([1.0], [[2.0], [0.0]])
    assert arrayopt.tree.map(lambda a, b: b, params, grads)[y] == [2.0, None]
    tx = arrayopt.sgd(1.0, momentum=0.5)
    updates, state = tx.update(grads, tx.init(params), params)
    assert (updates[x], updates[y][0], updates[y][1]) == (-1.0, -2.0, None)
    assert (state[0].trace[x], state[0].trace[y]) == (1.0, [2.0, 0.0])
    step = arrayopt.fused_step(tx)
    params, state = step(params, grads, tx.init(params))
    params, state = step(params, grads, state)
    assert (params[x], params[y]) == ([-2.5], [[-5.0], [0.0]])


def test_masks_are_aligned_by_key() -> None:
    third = frozenset({5})
    params = {A: np.zeros(1), B: {"x": np.zeros(1), "y": None}, third: None}
    grads = {third: None, B: {"x": np.full(1, 2.0), "y": None}, A: np.full(1, 1.0)}
    for mask in ({A: True, B: False, third: False}, {B: {"y": False, "x": False}, third: {"d": True}, A: True}):
        tx = arrayopt.masked(arrayopt.scale(-1.0), mask)
        for tree in (params, grads):
            updates, _ = tx.update(grads, tx.init(tree), tree)
            assert updates == {A: -1.0, B: {"x": 2.0, "y": None}, third: None}
            assert list(updates) == list(grads)


def test_keys_that_are_nan_each_their_own() -> None:
    a = {float("nan"): np.ones(1), 1.0: np.zeros(1)}
    b = {1.0: np.full(1, 3.0), float("nan"): np.full(1, 2.0)}
    assert list(arrayopt.apply_updates(a, b).values()) == [[3.0], [3.0]]


FULL = {f"k{i:02d}": 1 for i in range(20)}


@pytest.mark.parametrize(
    ("inner", "outer", "said"),
    [
        (OrderedDict(a=1), {"a": 1}, "OrderedDict against dict."),
        ({"a": 1}, OrderedDict(a=1), "OrderedDict against dict."),
        (defaultdict(list, a=1), {"a": 1}, "defaultdict against dict."),
        (OrderedDict(a=1, b=1), OrderedDict(b=1, a=1), "The keys are the same, their order is not."),
        (defaultdict(list, a=1), defaultdict(int, a=1), "default_factory = <class 'list'>, y has"),
        (FULL, {**FULL, "new": 1}, "… 21 in all). Only the latter has ['new']."),
        ({**FULL, "new": 1}, FULL, "… 20 in all). Only the former has ['new']."),
        ([1] * 30, [1] * 20, "[7], … 20 in all). Only the former has [20], [21],"),
        (Pair(1, 2), NamedTuple("Pair", [("a", Any), ("b", Any)])(1, 2), "Two classes have that name"),
    ],
)
def test_a_message_says_what_differs(inner: Any, outer: Any, said: str) -> None:
    with pytest.raises(StructureError) as caught:
        places(flatten(inner)[1], flatten(outer)[1], "x", "y")
    one, two = str(caught.value).split(", y has ")
    assert said in str(caught.value)
    assert one.removeprefix("x has ") != two
    assert len(str(caught.value)) < 400


def test_a_frozen_dict_against_a_dict() -> None:
    core = pytest.importorskip("flax.core")
    with pytest.raises(StructureError, match=r"FrozenDict against dict\.$"):
        arrayopt.apply_updates(core.FrozenDict(a=np.ones(1)), {"a": np.ones(1)})
