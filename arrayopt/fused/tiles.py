"""The engine that needs nothing but the library: a kernel's operations, one after another on tiles that stay in
cache.

It runs every program on every layout, and serves the other engines where theirs cannot: complex numbers, broadcasts,
strided arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import is_array
from arrayopt.fused import host
from arrayopt.fused.lanes import Lane, lane
from arrayopt.fused.probe import broadcast
from arrayopt.fused.program import Instruction, Launch, Program, Schedule, Site
from arrayopt.fused.traced import Unforeseen

TILE = 16 * 1024
"""Entries of a tile: a dozen buffers of it lie in a second-level cache."""

_NARROW = ("float16", "bfloat16")


class Tiles:
    """The engine on one library.

    Args:
      backend: the library's adapter.
      tile: entries of a tile; None makes one of each whole array. Then nothing is read: what a reduction answers is
        an array of the library.
    """

    about = "the library's operations on tiles that stay in cache"
    leaves_out = True

    def __init__(self, backend: Backend, tile: int | None = TILE) -> None:
        self.backend, self.tile = backend, tile
        self._kernels: dict[Program, _Kernel] = {}

    def missing(self, leaves: Sequence[Any]) -> str | None:
        """What keeps it from serving these arrays."""
        odd = self.backend.unusual([x for x in leaves if is_array(x)])
        return None if odd is None else f"{type(odd).__name__} is not written in place"

    def prepare(self, schedule: Schedule, like: Any) -> None:
        """Tries all programs on small arrays: what the library cannot do is known before anything is written.

        Args:
          schedule: the step.
          like: an array of the library and device.

        Raises:
          Unforeseen: it cannot.
        """
        for launch in [launch for stage in schedule.stages for launch in stage.launches]:
            self.attempt(launch, like)

    def attempt(self, launch: Launch, like: Any) -> None:
        """The same for one program."""
        program, site = launch.program, launch.sites[0]
        small = Site(site.arrays, *_small(program, site), site.scalars, site.results)
        stored = {a: dtype for _, a, dtype in (*program.stores, *program.folds)}
        kinds = dict(enumerate(program.loads)) | stored
        arrays: list[Any] = [None] * (max(site.arrays, default=-1) + 1)
        scalars: list[Any] = [1.0] * (max(site.scalars, default=-1) + 1)
        for kind, k in zip(program.slots, site.scalars, strict=True):
            scalars[k] = _ONES[kind]
        try:
            for k, a in enumerate(site.arrays):
                arrays[a] = self.backend.empty(small.shapes[k], kinds[k], like)
                self.backend.assign(arrays[a], 1)
            with self.backend.quiet():
                self.at(program, [small], arrays, scalars)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise Unforeseen(f"{self.backend.name} does not do what is recorded: {text}") from error

    def launch(self, launch: Launch, arrays: Sequence[Any], spots: Any, scalars: list[Any]) -> list[list[Any]]:
        """Applies a program to all its sites.

        Returns:
          For each site the results of its reductions.
        """
        out = spots.left_out(launch.owners)
        if not out:
            return self.at(launch.program, launch.sites, arrays, scalars)
        found: list[list[Any]] = [nothing(launch.program)] * len(launch.sites)
        rest = sorted({*range(len(launch.sites))} - {*out})
        done = self.at(launch.program, [launch.sites[k] for k in rest], arrays, scalars)
        for k, results in zip(rest, done, strict=True):
            found[k] = results
        return found

    def at(
        self, program: Program, sites: Sequence[Site], arrays: Sequence[Any], scalars: list[Any]
    ) -> list[list[Any]]:
        """Applies a program to some sites."""
        kernel = self._kernels.get(program)
        if kernel is None:
            kernel = self._kernels[program] = _Kernel(program, self.backend, self.tile)
        scratch: dict[Any, list[Any]] = {}
        numbers = _Numbers(scalars, self.backend)
        return [
            kernel.run(site, [self.backend.raw(arrays[a]) for a in site.arrays], numbers, scratch) for site in sites
        ]


_NOTHING: dict[str, Any] = {"sum": 0.0, "max": -math.inf, "min": math.inf, "any": False, "all": True}


def nothing(program: Program) -> list[Any]:
    """The results of reductions at a site that is left out."""
    return [_NOTHING[op] for op, _ in program.reduces]


_ONES: dict[str, Any] = {"f": 1.0, "i": 1, "b": True, "c": 1.0 + 0.0j}


def _small(program: Program, site: Site) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """The shapes of a site, and that of all together, with axes as short as can be."""
    most = 1 if program.flat else 2

    def cut(shape: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([min(n, most) if n else 1 for n in shape])

    return tuple(map(cut, site.shapes)), cut(site.shape)


class _Numbers:
    """The scalars of a stage as the library's functions take them, and 1 / s of those that are divided by."""

    def __init__(self, scalars: list[Any], backend: Backend) -> None:
        self._given, self._backend = scalars, backend
        self._made = [x if hasattr(x, "dtype") else backend.scalar(x) for x in scalars]
        self._inverse: dict[int, Any] = {}

    def of(self, site: Site) -> list[Any]:
        """Those of a site, by slot."""
        return [self._made[k] for k in site.scalars]

    def inverse(self, site: Site, slots: list[int]) -> dict[int, Any]:
        """1 / s of some of them; None where that is too great or too small to multiply by."""
        for slot in slots:
            k = site.scalars[slot]
            if k not in self._inverse:
                inverse = host.inverse(self._given[k])
                self._inverse[k] = None if inverse is None else self._backend.scalar(inverse)
        return {slot: self._inverse[site.scalars[slot]] for slot in slots}


class _Kernel:
    def __init__(self, program: Program, backend: Backend, tile: int | None) -> None:
        self.program, self.backend, self.tile = program, backend, tile
        self.steps = [_Step(program, backend, i, instruction) for i, instruction in enumerate(program.code)]
        self.slots = _buffers(program) if program.flat else None
        stored = {array for _, array, _ in program.stores}
        moved = {value for value, array, _ in program.stores if value != array}
        aliases = {v for first, vs in _aliased(program).items() if first in stored for v in vs}
        self.shifted = [v for v in moved if (v < len(program.loads) and v in stored) or v in aliases]
        self.lane = lane(program, backend, tile, _reduced) if tile is not None else None

    def run(self, site: Site, arrays: list[Any], numbers: _Numbers, scratch: dict[Any, list[Any]]) -> list[Any]:
        shape, scalars = site.shape, numbers.of(site)
        partial: list[list[Any]]
        copies: list[tuple[Any, Any]] = []
        if self.program.flat:
            arrays, shape, copies = self._as_vectors(site, arrays)
        else:  # an array may have ones in front
            shape = (1,) * (max([len(own) for own in site.shapes]) - len(shape)) + shape
        if self.lane is not None and len(shape) == 1:
            inverse = numbers.inverse(site, self.lane.inverse)
            buffers = self._buffers_of(self.lane, arrays, shape[0], scratch)
            partial = self.lane.run(arrays, scalars, inverse, buffers, shape[0])
        else:
            partial = [[] for _ in self.program.reduces]
            sums = self._zeros(site, arrays)
            seen = [sums.get(k, a) for k, a in enumerate(arrays)]
            for where, size in _tiles(shape, self.tile):
                parts = [_part(a, where, shape) for a in seen]
                self._tile(parts, scalars, partial, self._scratch(size, arrays, scratch))
            for k, found in sums.items():
                self.backend.assign(arrays[k], self.backend.xp.reshape(found, arrays[k].shape))
        for original, copy in copies:
            self.backend.assign(original, copy)
        pairs = zip(self.program.reduces, partial, strict=True)
        return [_combined(op, self.program.dtype(value), parts) for (op, value), parts in pairs]

    def _zeros(self, site: Site, arrays: list[Any]) -> dict[int, Any]:
        """What sums along axes are formed in, in double."""
        found: dict[int, Any] = {}
        for _, k, _ in self.program.folds:
            found[k] = self.backend.empty(site.shapes[k], "float64", arrays[0])
            self.backend.assign(found[k], 0.0)
        return found

    def _buffers_of(self, code: Lane, arrays: list[Any], size: int, made: dict[Any, list[Any]]) -> list[Any]:
        """Its buffers, of a tile or of the whole vector if that is shorter."""
        assert self.tile is not None
        length = min(size, self.tile)
        if length not in made:
            if self.tile not in made:
                made[self.tile] = [self.backend.empty((self.tile,), kind, arrays[0]) for kind in code.buffers]
            made[length] = [b[:length] for b in made[self.tile]]
        return made[length]

    def _as_vectors(self, site: Site, arrays: list[Any]) -> tuple[list[Any], tuple[int, ...], list[tuple[Any, Any]]]:
        """Arrays of one size as vectors, where that needs no copy; else as they are, or copied if shapes differ."""
        layouts = [self.backend.layout(a) for a in arrays]
        if all([layout is not None and layout.strides is None for layout in layouts]):
            return [a.reshape(-1) for a in arrays], (site.size,), []
        if len(set(site.shapes)) == 1 and not self.program.views:
            return arrays, site.shape, []
        vectors: list[Any] = [self.backend.xp.reshape(a, (-1,)) for a in arrays]
        stored = {array for _, array, _ in self.program.stores}
        shaped = [(arrays[k], vectors[k].reshape(site.shapes[k])) for k in stored]
        return vectors, (site.size,), shaped

    def _scratch(self, size: int | None, arrays: list[Any], made: dict[Any, list[Any]]) -> list[Any]:
        """Buffers for a tile of so many entries; none where tiles have no one shape."""
        if self.slots is None or size is None:
            return []
        if not made:
            assert self.tile is not None
            made[self.tile] = [self.backend.empty((self.tile,), dtype, arrays[0]) for dtype in self.slots[1]]
        if size not in made:
            made[size] = [b[:size] for b in made[self.tile]]
        return made[size]

    def _tile(self, arrays: list[Any], scalars: list[Any], partial: list[list[Any]], scratch: list[Any]) -> None:
        xp, backend = self.backend.xp, self.backend
        values: list[Any] = []
        for array, dtype in zip(arrays, self.program.loads, strict=False):
            values.append(xp.astype(array, backend.dtype("float32")) if dtype in _NARROW else array)
        for i, step in enumerate(self.steps):
            out = scratch[self.slots[0][i]] if scratch and self.slots else None
            values.append(step(values, scalars, arrays, out))
        for k, (op, value) in enumerate(self.program.reduces):
            found = _reduced(xp, op, values[value])
            partial[k].append(found if self.tile is None else backend.read(found))
        for value, array, _ in self.program.folds:
            _fold(xp, values[value], arrays[array])
        for value in self.shifted:
            values[value] = backend.copy(values[value])
        for value, array, _ in self.program.stores:
            backend.assign(arrays[array], values[value])


class _Step:
    """One instruction, bound to the library's function."""

    def __init__(self, program: Program, backend: Backend, i: int, instruction: Instruction) -> None:
        self.op, self.dtype, self.args = instruction
        self.backend, self.flat = backend, program.flat
        self.kind = backend.dtype("float32" if self.dtype in _NARROW else self.dtype)
        self.rounded = self.dtype in _NARROW and self.op == "astype"
        self.word: Callable[..., Any] | None = None
        self.has_out = False
        if self.op not in ("astype", "hand_on", "full", "copy"):
            self.word, self.has_out = backend.word(self.op)

    def __call__(self, values: list[Any], scalars: list[Any], arrays: list[Any], out: Any) -> Any:
        given = [values[a] if a >= 0 else scalars[-1 - a] for a in self.args]
        xp = self.backend.xp
        if self.word is None:
            return self._made(xp, given, arrays, out)
        if self.has_out and out is not None:
            return self.word(*given, out=out)
        if self.op == "where":
            given = [x if hasattr(x, "shape") else xp.asarray(x) for x in given]
            return xp.astype(xp.where(*given), self.kind)
        return xp.astype(self.word(*given), self.kind)

    def _made(self, xp: Any, given: list[Any], arrays: list[Any], out: Any) -> Any:
        if self.op in ("full", "copy") and self.args[0] < 0:
            shape = broadcast_all([a.shape for a in arrays])
            filled = self.backend.empty(shape, dtypes.name(self.kind), arrays[0])
            self.backend.assign(filled, given[0])
            return filled
        x = xp.astype(given[0], self.backend.dtype(self.dtype)) if self.rounded else given[0]
        if self.op == "copy" and not self.flat:
            x = xp.broadcast_to(x, broadcast_all([a.shape for a in arrays]))
        return x if self.op == "hand_on" and not self.rounded else xp.astype(x, self.kind)


def _buffers(program: Program) -> tuple[list[int], list[str]]:
    """For each instruction the buffer it may write to, and the dtypes of the buffers: as few as can be."""
    n, end = len(program.loads), len(program.code)
    last = {value: end for value, *_ in program.stores} | {value: end for _, value in program.reduces}
    for i, instruction in enumerate(program.code):
        for a in instruction.args:
            last[a] = max(last.get(a, 0), i)
    aliased = _aliased(program)
    dtypes: list[str] = []
    free: dict[str, list[int]] = {}
    taken: list[int] = []
    ends: dict[int, list[int]] = {}
    for i, instruction in enumerate(program.code):
        for k in ends.pop(i - 1, []):
            free.setdefault(dtypes[k], []).append(k)
        dtype = "float32" if instruction.dtype in _NARROW else instruction.dtype
        if free.get(dtype):
            k = free[dtype].pop()
        else:
            k = len(dtypes)
            dtypes.append(dtype)
        taken.append(k)
        end = max([last.get(v, i) for v in (n + i, *aliased.get(n + i, []))])
        ends.setdefault(end, []).append(k)
    return taken, dtypes


def broadcast_all(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that arrays have together."""
    found: tuple[int, ...] = ()
    for shape in shapes:
        found = broadcast(found, tuple(shape))
    return found


def _aliased(program: Program) -> dict[int, list[int]]:
    """For each value those that are the same memory: casts that change nothing."""
    n, found = len(program.loads), dict[int, list[int]]()
    origin: dict[int, int] = {}
    for i, instruction in enumerate(program.code):
        if instruction.op in ("astype", "hand_on", "copy", "real", "conj") and instruction.args[0] >= 0:
            first = origin.get(instruction.args[0], instruction.args[0])
            origin[n + i] = first
            found.setdefault(first, []).append(n + i)
    return found


def _tiles(shape: tuple[int, ...], tile: int | None) -> Iterator[tuple[tuple[Any, ...], int | None]]:
    """Slices of an array of that shape, none of more entries than a tile, and the size of each if it is a vector."""
    if tile is None or not shape:
        yield (), None
        return
    if len(shape) == 1:
        for start in range(0, shape[0], tile):
            yield (slice(start, start + tile),), min(tile, shape[0] - start)
        return
    inner = [math.prod(shape[a + 1 :]) for a in range(len(shape))]
    axis = next((a for a, n in enumerate(inner) if n <= tile), 0)
    rows = max(1, tile // max(inner[axis], 1))
    outer = [range(n) for n in shape[:axis]]
    for index in itertools.product(*outer):
        for start in range(0, shape[axis], rows):
            yield (*[slice(i, i + 1) for i in index], slice(start, start + rows)), None


def _part(array: Any, where: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The part of an array, broadcast to ``shape``, that a tile meets."""
    skipped = len(shape) - len(array.shape)
    index = [k if n > 1 else slice(None) for k, n in zip(where[skipped:], array.shape, strict=False)]
    return array[tuple(index)] if index else array


_REDUCE: dict[str, Callable[[Any, Any], Any]] = {
    "sum": host.FUNCTIONS["add"],
    "max": host.maximum,
    "min": host.minimum,
    "any": host.FUNCTIONS["logical_or"],
    "all": host.FUNCTIONS["logical_and"],
}


def _reduced(xp: Any, op: str, x: Any) -> Any:
    if op == "sum" and str(x.dtype).rsplit(".", 1)[-1] == "float32":
        return xp.sum(x, dtype=xp.float64)
    return getattr(xp, op)(x)


def _fold(xp: Any, x: Any, sums: Any) -> None:
    """Adds the sums of a tile along the axes of which ``sums`` has one entry."""
    whole = (1,) * (len(x.shape) - len(sums.shape)) + tuple(sums.shape)
    axes = tuple([a for a, n in enumerate(whole) if n == 1])
    part = xp.sum(x, axis=axes, keepdims=True, dtype=xp.float64) if axes else xp.astype(x, xp.float64)
    sums += xp.reshape(part, sums.shape)


def _combined(op: str, dtype: str, parts: list[Any]) -> Any:
    """The results of the tiles put together."""
    if len(parts) == 1:
        return parts[0]
    if op == "sum":
        return sum(parts) if dtype.startswith("complex") else math.fsum(parts) if _finite(parts) else sum(parts)
    if not parts:
        return op == "all"
    found = parts[0]
    for part in parts[1:]:
        found = _REDUCE[op](found, part)
    return found


def _finite(parts: list[Any]) -> bool:
    return all([math.isfinite(x) for x in parts])
