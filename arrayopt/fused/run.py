"""The ways a step can be run: in kernels, compiled whole by the library, or eagerly."""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from arrayopt import dtypes
from arrayopt.backend import Backend
from arrayopt.dispatch import backend, is_array, same_library
from arrayopt.fused.blame import is_ours, stopping_line
from arrayopt.fused.compare import Print, difference, fingerprint, kept_as_they_are
from arrayopt.fused.engines import CompiledStep
from arrayopt.fused.holes import agree, steady
from arrayopt.fused.owners import Owned, owners
from arrayopt.fused.plan import IMMUTABLE, Recording, Shape, Trees, device_of, hollow, recording
from arrayopt.fused.program import Schedule
from arrayopt.fused.runner import carry_out, uninterrupted
from arrayopt.fused.traced import NoNumber, NotRecordable, Unforeseen
from arrayopt.layout import Layout, Ranges, Spots
from arrayopt.tree.reading import reader
from arrayopt.tree.structure import Spec, flatten

Step = Callable[..., Any]


class Way:
    """How steps on trees of one structure are run.

    Args:
      library: adapter of the arrays; None if they are of several.
      trees: the first ones.
      engine: name of the engine.
      reason: why it is this one.
      schedule: the recorded step, if it could be recorded.
      stopped: what stopped the recording.
    """

    def __init__(
        self,
        library: Backend | None,
        trees: Trees,
        engine: str,
        reason: str,
        schedule: Schedule | None,
        stopped: str | None = None,
    ) -> None:
        self.library, self.engine, self.reason = library, engine, reason
        self.schedule: Schedule | None = schedule
        self.stopped: str | None = stopped
        self.spec = hollow(trees.spec)
        self.names = Trees([], self.spec, trees.kinds)
        self.key = self.names.key
        self.donated = trees.donated
        self.kinds = trees.kinds
        self._read = reader(self.spec)

    def leaves_of(self, *given: Any) -> list[Any] | None:
        """The leaves of the arguments of a step; None if they are not of that structure, shapes and dtypes."""
        leaves: list[Any] = []
        if not self._read(given, leaves) or len(leaves) != len(self.kinds):
            return None
        return leaves if self.fits(leaves) else None

    def forget(self) -> None:
        """Forgets the arrays of the last step."""

    def look(self) -> None:
        """Sees to it that the schedule is known, if it can be."""

    def fits(self, leaves: list[Any]) -> bool:
        """Whether leaves are of the same types, shapes and dtypes."""
        return all([_fits(x, kind) for x, kind in zip(leaves, self.kinds, strict=True)])

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        raise NotImplementedError


def _fits(x: Any, kind: tuple[Any, ...]) -> bool:
    if type(x) is not kind[0]:
        return False
    if kind[1] is None:
        return kind[0] not in IMMUTABLE or bool(x == kind[2])
    return bool(x.shape == kind[1] and x.dtype == kind[2] and device_of(x) == kind[3])


class Whole(Way):
    """Compiled by the library itself, parameters and state given to it.

    What its kernels would be is recorded only when somebody asks for an explanation. What the library cannot compile,
    it runs as it stands.

    Args:
      compiled: the engine's.
      step: the same without the engine.
      record: answers the schedule, or what stopped the recording.
    """

    def __init__(
        self,
        compiled: CompiledStep,
        step: Step,
        record: Callable[[], tuple[Schedule | None, str | None]],
        *rest: Any,
    ) -> None:
        super().__init__(*rest)
        self._compiled, self._step = compiled, step
        self._record = record
        self._eager = False
        self._has_numbers = any([self.kinds[p][0] is int for p in self.donated])

    def leaves_of(self, *given: Any) -> list[Any] | None:
        """As the compiler takes them apart, where it sees the same trees as we do; which is faster."""
        found = self._compiled.leaves_of(given)
        return super().leaves_of(*given) if found is None else found

    def look(self) -> None:
        """Records the step."""
        if self.schedule is None and self.stopped is None:
            self.schedule, self.stopped = self._record()

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        if not self._eager:
            if len(set(map(id, leaves))) < len(leaves):
                self._check_apart(params, grads, state, extra)
            try:
                found, changed = self._compiled.run(params, grads, state, extra)
                if changed is not None:
                    self._run_eagerly(f"it cannot be compiled: {changed}")
                return self._with_numbers(found) if self._has_numbers else found
            except Exception as error:  # may be the transform's own word on bad input: then it comes again
                if any([x.is_deleted() for x in leaves if hasattr(x, "is_deleted")]):
                    raise
                again: tuple[Any, Any] = self._step(params, state, grads, extra)
                if "donate" in str(error):  # two arrays over one buffer, which only XLA sees
                    return again
                text = str(error).split("\n")[0]
                self._run_eagerly(f"it cannot be compiled: {type(error).__name__}: {text}; {stopping_line(error)}")
                return again
        plain: tuple[Any, Any] = self._step(params, state, grads, extra)
        return plain

    def _with_numbers(self, found: tuple[Any, Any]) -> tuple[Any, Any]:
        """Whole numbers where the state had some, which the compiler made arrays of.

        What became an array of itself, as the counters of our rules do, stays one: JAX calls the others weak.
        """
        leaves, spec = flatten(found)
        if len(leaves) == len(self.donated):
            kinds = [self.kinds[p][0] for p in self.donated]
            weak = [kind is int and getattr(x, "weak_type", True) for x, kind in zip(leaves, kinds, strict=True)]
            leaves = [int(x) if is_number else x for x, is_number in zip(leaves, weak, strict=True)]
        new: tuple[Any, Any] = spec.unflatten(leaves)
        return new

    def _run_eagerly(self, why: str) -> None:
        self._eager, self.stopped = True, why
        self.engine, self.reason = "eager", f"not {self.engine}: {why}"

    def _check_apart(self, *given: Any) -> None:
        """Raises ValueError if an array is given away and given a second time."""
        leaves, spec = flatten(given)
        names, seen = Trees(leaves, spec), dict[int, int]()
        donated = set(names.donated)
        for p in [*names.donated, *range(len(leaves))]:
            other = seen.setdefault(id(leaves[p]), p)
            if other != p and other in donated and is_array(leaves[p]):
                raise ValueError(
                    f"fused_step: {names.path(other)} and {names.path(p)} are one array, and the former is "
                    f"given away. Keep one of them in the tree, or a copy."
                )


class Eagerly(Way):
    """As it stands; the results are then written into the donated arrays, where the library writes in place."""

    def __init__(self, step: Step, *rest: Any) -> None:
        super().__init__(*rest)
        self._step = step

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        layouts = self.layouts(leaves)
        return self.kept(self._step(self._raw(params), self._raw(state), grads, extra), leaves, layouts)

    def kept(self, found: Any, leaves: list[Any], layouts: dict[int, Layout]) -> tuple[Any, Any]:
        """New parameters and state written into the old ones, as far as they fit.

        Args:
          found: the new ones.
          leaves: of the arguments.
          layouts: of the donated arrays.
        """
        news, spec = flatten(found)
        olds = [leaves[p] for p in self.donated]
        if len(news) != len(olds):  # the state is another; the parameters are those they were
            few = self.names.counts[0]
            olds = olds[:few] + [None] * (len(news) - few)
        return self._kept(news, olds, spec, layouts)

    def _home(self, x: Any) -> Backend:
        return self.library or backend(x)

    def _raw(self, tree: Any) -> Any:
        leaves, spec = flatten(tree)
        return spec.unflatten([self._home(x).raw(x) if is_array(x) else x for x in leaves])

    def layouts(self, leaves: list[Any]) -> dict[int, Layout]:
        """Of the donated arrays; empty if the library does not write in place."""
        found: dict[int, Layout] = {}
        for p in self.donated:
            layout = self._home(leaves[p]).span(leaves[p]) if is_array(leaves[p]) else None
            if layout is not None:
                found[p] = layout
        check_writable(self.names, self.library, leaves, found, Ranges(found.items()))
        return found

    def _kept(self, news: list[Any], olds: list[Any], spec: Spec, layouts: dict[int, Layout]) -> tuple[Any, Any]:
        ranges = Ranges(layouts.items())
        fits = [_same_kind(new, old) and self._home(old).can_assign(old) for new, old in zip(news, olds, strict=True)]
        for i, (new, old) in enumerate(zip(news, olds, strict=True)):
            if new is not old and is_array(new):
                layout = self._home(new).span(new)
                if ranges.touches(layout) if layout is not None else fits[i]:
                    news[i] = self._home(new).copy(new)  # it would change under our hands
        with uninterrupted():
            for i, (new, old) in enumerate(zip(news, olds, strict=True)):
                if fits[i]:
                    if new is not old:
                        self._home(old).assign(old, new)
                    news[i] = old
        params, state = spec.unflatten(news)
        return params, state


def _same_kind(new: Any, old: Any) -> bool:
    """Whether a result can be written into the array it replaces."""
    if not is_array(new) or not is_array(old):
        return False
    return (
        tuple(new.shape) == tuple(old.shape)
        and dtypes.name(new.dtype) == dtypes.name(old.dtype)
        and same_library(new, old)
        and device_of(new) == device_of(old)
    )


class InKernels(Way):
    """Recorded, and run by an engine of kernels.

    It is recorded in the first step and once more in the second; each recording is that step's one run of the rule.
    If the two are not the same, or something cannot be recorded, steps are run eagerly from then on.

    Args:
      engine: what runs the kernels.
      update: of the optimizer.
      plainly: the same steps without kernels.
    """

    def __init__(
        self, engine: Any, update: Step, plainly: Eagerly, library: Backend, trees: Trees, *rest: Any
    ) -> None:
        super().__init__(library, trees, *rest)
        self._engine, self._update, self._plainly = engine, update, plainly
        self._last = threading.local()
        self._print: Print | None = None
        self._confirmed = False
        self._counters: frozenset[int] = frozenset()  # places where a counter is no number
        self.fills: frozenset[int] = frozenset()  # the places of gradients that may be None
        self._owned: Owned | None = None
        self._untried: Sequence[frozenset[int]] = ()  # gradients that have not been None together, though it may show
        donated = set(self.donated)
        arrays = [i for i, kind in enumerate(self.kinds) if kind[1] is not None]
        self._written = [i for i in arrays if i in donated]
        self._fresh = [i for i in arrays if i not in donated]
        self._written_types = [self.kinds[i][0] for i in self._written]
        self._fresh_kinds: list[Any] = [self.kinds[i] for i in self._fresh]
        self._types, self._shapes, self._dtypes, self._devices = [[x[k] for x in self._fresh_kinds] for k in range(4)]
        first, count, _, _ = trees.counts
        self.gradients = range(first, first + count)
        self._all_written, self._all_fresh = _picker(self._written), _picker(self._fresh)
        self._others = [(i, kind) for i, kind in enumerate(self.kinds) if kind[1] is None]
        odd = [math.prod(x[1]) < 2 or dtypes.is_complex(x[2]) for x in self._fresh_kinds]
        self._perhaps_odd = [k for k, perhaps in enumerate(odd) if perhaps]
        self._lengths = [math.prod(x[1]) * getattr(x[2], "itemsize", 16) for x in self._fresh_kinds]
        self._blank: list[Layout | None] = [None] * len(self.kinds)

    def forget(self) -> None:
        """Forgets the arrays of the last step."""
        self._last.kept, self._last.plain = None, False

    def fits(self, leaves: list[Any]) -> bool:
        """Whether leaves are as before: donated arrays the same memory, the others of the same kinds."""
        library = self.library
        assert library is not None
        kept: _Kept | None = getattr(self._last, "kept", None)
        written = self._all_written(leaves)
        if kept is None or list(map(type, written)) != self._written_types or not kept.same(written):
            self.forget()
            return super().fits(leaves) or self._fits_with_holes(leaves)
        fresh = self._all_fresh(leaves)
        self._last.plain = kept.alike is not None and kept.alike(fresh)
        if self._last.plain:
            return all([_fits(leaves[i], kind) for i, kind in self._others])
        if list(map(type, fresh)) != self._types:
            return self._fits_with_holes(leaves, [*self._fresh, *[i for i, _ in self._others]])
        return (
            [x.shape for x in fresh] == self._shapes
            and [x.dtype for x in fresh] == self._dtypes
            and library.devices_of(fresh) == self._devices
            and all([_fits(leaves[i], kind) for i, kind in self._others])
        )

    def _fits_with_holes(self, leaves: list[Any], places: Sequence[int] | None = None) -> bool:
        """Whether they do but for gradients that are None, which this step has learnt to leave out.

        Args:
          leaves: of the trees.
          places: those that are to be looked at; all by default.
        """
        holes = self.fills
        missing = frozenset([i for i in self.gradients if leaves[i] is None]) if holes else holes
        if len(missing) in (0, len(self.gradients)):  # rules look whether there is any gradient
            return False
        if any([group <= missing for group in self._untried]):  # or any of those that they look at
            return False
        kinds = self.kinds
        asked = range(len(kinds)) if places is None else places
        return all([(leaves[i] is None and i in holes) or _fits(leaves[i], kinds[i]) for i in asked])

    def learn(self, some: InKernels, names: Sequence[int], missing: frozenset[int]) -> bool:
        """Whether steps without some gradients are the recorded one with those left out; later ones are run so then.

        Args:
          some: steps without them, which have been recorded.
          names: for each leaf of theirs its place among the leaves here.
          missing: the places of the gradients that they have not.
        """
        assert self.library is not None and some._print is not None
        assert self._print is not None and self.schedule is not None
        owned = self._owned = self._owned or owners(self.schedule, self.gradients)
        can = agree(self.library, self._print, some._print, names, missing, owned)
        groups = owned.groups if owned is not None and not self.fills else self._untried
        self._untried = [group for group in groups if not group <= missing]
        self.fills = self.fills | missing if can else frozenset()
        self._confirmed = self._confirmed or can
        return can

    def is_steady(self, other: InKernels) -> bool:
        """Whether another recording meets the same numbers and arrays."""
        assert self.library is not None
        prints = self._print, other._print
        return prints[0] is not None and prints[1] is not None and steady(self.library, prints[0], prints[1])

    def record_whole(self, leaves: list[Any]) -> bool:
        """Records a step as if all gradients were there, also those that are None; False if it cannot be."""
        assert self.library is not None
        given = [Shape(*self.kinds[i][1:3]) if x is None else x for i, x in enumerate(leaves)]
        try:
            with recording(self._update, Trees(given, self.spec, self.kinds), self.library) as found:
                if found.stop is None:
                    self._print, self.schedule = fingerprint(found), self._lowered(found)
        except Exception:  # the rule looks at what is None, or at values
            return False
        return self.schedule is not None

    @property
    def leaves_out(self) -> bool:
        """Whether the engine can do a step but for some of its leaves."""
        return bool(getattr(self._engine, "leaves_out", False))

    @property
    def is_recorded(self) -> bool:
        """Whether there are kernels."""
        return self._print is not None and self.schedule is not None

    def run(self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]) -> tuple[Any, Any]:
        """Takes a step."""
        if self.stopped is None and not self._confirmed:
            return self._recorded(leaves, params, grads, state, extra)
        if self.stopped is not None:
            return self._plainly.run(leaves, params, grads, state, extra)
        return self._in_kernels(leaves, params, grads, state, extra)

    # -- the first two steps -------------------------------------------------------------------------------

    def _recorded(
        self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Takes a step that is recorded."""
        assert self.library is not None
        layouts = self._plainly.layouts(leaves)  # raises before the rule is run, as later steps do
        held = [] if self._print is None else self._print.captured
        unchanged = kept_as_they_are(self.library, held)
        trees = Trees(leaves, self.spec, self.kinds)
        try:
            with recording(self._update, trees, self.library, self._counters) as found:
                why_not = self._why_not(found, unchanged)
                if why_not is not None:
                    return self._plainly.kept(found.values(), leaves, layouts)
        except (TypeError, AttributeError, AssertionError) as error:
            if isinstance(error, TypeError) and is_ours(error):
                raise
            self._stop(f"it cannot be recorded: {type(error).__name__}: {error}; {stopping_line(error)}")
            return self._plainly.run(leaves, params, grads, state, extra)  # a rule that asks for types, once more
        return self._in_kernels(leaves, params, grads, state, extra)

    def _why_not(self, found: Recording, unchanged: Callable[[], bool]) -> str | None:
        """What keeps a recorded step from being run in kernels; None if nothing does."""
        assert self.library is not None
        try:
            if found.stop is not None:
                return self._stop(found.stop)
            old, new = self._print, fingerprint(found)
            if old is None or self.schedule is None:
                self.schedule, self._print = self._lowered(found), new
                return None
            changed = difference(old, new, self.library)
            if changed is None and not unchanged():
                changed = "update writes to an array that it holds"
            self._confirmed = changed is None
            return None if changed is None else self._stop(changed)
        except NoNumber as error:  # seldom: the next recording knows
            self._counters = error.places
            return str(error)
        except NotRecordable as error:
            return self._stop(f"it cannot be recorded: {error}")

    def _lowered(self, found: Recording) -> Schedule:
        """The schedule of a recorded step, its kernels compiled."""
        return found.schedule(self._check_held)

    def _check_held(self, x: Any) -> None:
        """Raises NotRecordable if kernels cannot look at an array that the rule holds."""
        library = self.library
        assert library is not None
        if math.prod(x.shape) == 1 and library.is_plain_kind(x):
            return
        if library.layout(x) is None:
            raise NotRecordable(f"the rule holds a {type(x).__name__} that kernels cannot look at")
        beside = self._devices[:1] or [kind[3] for kind in self.kinds if kind[1] is not None]
        if library.devices_of([x]) != beside[:1]:
            raise NotRecordable(f"the rule holds an array on {device_of(x)}")

    def _stop(self, why: str) -> str:
        """Has steps run eagerly from now on."""
        self.stopped, self.schedule, self._print = why, None, None
        self.engine, self.reason = "eager", f"not {self.engine}: {why}"
        return why

    # -- all others ----------------------------------------------------------------------------------------

    def _in_kernels(
        self, leaves: list[Any], params: Any, grads: Any, state: Any, extra: dict[str, Any]
    ) -> tuple[Any, Any]:
        library, schedule = self.library, self.schedule
        assert library is not None and schedule is not None
        given = list(leaves)
        missing = frozenset([i for i in self.gradients if leaves[i] is None]) if self.fills else frozenset[int]()
        spots = self._spots(leaves, missing)
        if spots is None or not schedule.holds():
            self.forget()
            return self._plainly.run(given, params, grads, state, extra)
        spots.missing = missing
        if schedule.captured:
            spots.held = self._apart()
        try:
            replaced = self._carried_out(schedule, leaves, spots)
        except Unforeseen as error:  # raised before anything was written
            self._stop(str(error))
            return self._plainly.run(given, params, grads, state, extra)
        written = self._all_written(leaves)
        if missing and self._owned is not None:  # what was left out may be differentiated still
            places = self._owned.places
            written = [leaves[i] for i in self._written if places.get(i) not in missing]
        library.written(written)
        if not replaced:
            return params, state
        new_params, _, new_state, _ = self.spec.unflatten([replaced.get(p, x) for p, x in enumerate(given)])
        return new_params, new_state

    def _carried_out(self, schedule: Schedule, leaves: list[Any], spots: Spots) -> dict[int, Any]:
        own = getattr(self._engine, "carry_out", None)  # an engine that keeps numbers on a device has its own way
        if own is not None:
            return cast("dict[int, Any]", own(schedule, leaves, spots))
        assert self.library is not None
        return carry_out(schedule, self._engine, self.library, leaves, spots)

    def _apart(self) -> dict[int, Any]:
        """Copies of arrays that the rule holds and that this step writes to."""
        library, schedule, ranges = self.library, self.schedule, self._last.kept.ranges
        assert library is not None and schedule is not None
        held = [(place, x, library.layout(x)) for place, x in schedule.captured]
        return {place: library.copy(x) for place, x, layout in held if layout is not None and ranges.touches(layout)}

    def _spots(self, leaves: list[Any], missing: frozenset[int]) -> Spots | None:
        """Where all leaves lie; None if kernels cannot look at one."""
        library = self.library
        assert library is not None
        kept: _Kept | None = getattr(self._last, "kept", None)
        if kept is None:
            kept = self._last.kept = _Kept(self, leaves, self._written, self._fresh)
        if None in kept.layouts:  # a conjugate view, say, where there was a plain array before
            return None
        fresh = [leaves[i] for i in self._fresh if i not in missing] if missing else self._all_fresh(leaves)
        if kept.plain and (self._known_plain() or self._are_plain(fresh, missing)):
            if kept.alike is None and not missing:
                kept.alike = library.alike(fresh)
            addresses = self._addresses(fresh, missing)
            if self._lie_somewhere(addresses, missing):
                if addresses != kept.clear and not kept.ranges.touched(addresses, self._lengths):
                    kept.clear = addresses
                if addresses == kept.clear:
                    return Spots(self._blank, kept, addresses, True)
        return self._all_spots(leaves, kept, missing)

    def _known_plain(self) -> bool:
        """Whether the gradients of this very step have been seen to be like plain ones of before."""
        known = getattr(self._last, "plain", False)
        self._last.plain = False
        return known

    def _are_plain(self, fresh: Sequence[Any], missing: frozenset[int]) -> bool:
        """Whether gradients are contiguous, none of them a view that computes."""
        assert self.library is not None
        return self.library.all_plain(fresh) and not any([self._is_view(x) for x in self._odd(fresh, missing)])

    def _lie_somewhere(self, addresses: list[int], missing: frozenset[int]) -> bool:
        """Whether all gradients that are there have memory: it may have been freed."""
        if 0 not in addresses:
            return True
        lost = [i for i, at, n in zip(self._fresh, addresses, self._lengths, strict=True) if n and not at]
        return missing.issuperset(lost)

    def _odd(self, fresh: Sequence[Any], missing: frozenset[int]) -> list[Any]:
        """The gradients that may be contiguous and yet no plain memory: those of one entry, and complex ones."""
        if not missing:
            return [fresh[k] for k in self._perhaps_odd]
        left = [i for i in self._fresh if i not in missing]
        perhaps = {self._fresh[k] for k in self._perhaps_odd}
        return [x for i, x in zip(left, fresh, strict=True) if i in perhaps]

    def _is_view(self, x: Any) -> bool:
        assert self.library is not None
        return self.library.layout(x) is None

    def _addresses(self, fresh: Sequence[Any], missing: frozenset[int]) -> list[int]:
        """Of all gradients and extra arguments; 0 for those that are None."""
        assert self.library is not None
        found = self.library.addresses(fresh)
        if not missing:
            return found
        there = iter(found)
        return [0 if i in missing else next(there) for i in self._fresh]

    def _all_spots(self, leaves: list[Any], kept: _Kept, missing: frozenset[int]) -> Spots | None:
        """The same where something is out of the ordinary."""
        library = self.library
        assert library is not None
        layouts = list(self._blank)
        for i, layout in zip(self._written, kept.layouts, strict=True):
            layouts[i] = layout
        for i in [i for i in self._fresh if i not in missing]:
            layout = library.layout(leaves[i])
            if layout is None or kept.ranges.touches(layout):  # a gradient that would change while it is read
                leaves[i] = library.plain(leaves[i])
                layout = None if leaves[i] is None else library.layout(leaves[i])
                if layout is None:
                    return None
            layouts[i] = layout
        return Spots(layouts, object(), [], False)


def check_devices(trees: Trees, library: Backend) -> None:
    """Raises ValueError if a gradient does not lie on the device of its parameter."""
    a, b, _, _ = trees.counts
    if a != b or not any([library.can_assign(x) for x in trees.leaves[:a] if is_array(x)]):
        return
    for i in range(a):
        pair = trees.leaves[i], trees.leaves[a + i]
        if all(map(is_array, pair)):
            device, other = library.devices_of(pair)
            if device != other:
                raise ValueError(
                    f"fused_step: {trees.path(a + i)} must lie beside its parameter, on {device}; it lies on {other}."
                )


def _picker(places: list[int]) -> Callable[[list[Any]], Sequence[Any]]:
    """What reads the leaves at some places; all at once, since there may be a thousand."""
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda leaves: [leaves[i] for i in places]


class _Kept:
    """Where the donated arrays of the last step lie; the arrays themselves are not kept."""

    def __init__(self, way: Way, leaves: list[Any], places: list[int], fresh: list[int]) -> None:
        library = way.library
        assert library is not None
        arrays = [leaves[i] for i in places]
        self.same = library.watch(arrays)
        self.layouts = [library.layout(x) for x in arrays]
        known = {i: layout for i, layout in zip(places, self.layouts, strict=True) if layout is not None}
        self.ranges = Ranges(known.items())
        check_writable(way.names, library, leaves, known, self.ranges)
        self.plain = all([layout is not None and layout.strides is None for layout in self.layouts])
        self.addresses = {i: layout.address for i, layout in known.items()}
        self.fresh = fresh
        self.alike: Callable[[Sequence[Any]], bool] | None = None  # whether gradients are as plain as these were
        self.clear: list[int] = []  # addresses of gradients that were found to touch none of them


def check_writable(
    names: Trees, library: Backend | None, leaves: Sequence[Any], layouts: dict[int, Layout], ranges: Ranges
) -> None:
    """Raises ValueError if a donated array cannot be written, or shares memory with another."""
    for p, layout in layouts.items():
        if not layout.writable:
            raise ValueError(f"fused_step: {names.path(p)} must be writable, since it is updated in place.")
        if layout.repeats:
            raise ValueError(
                f"fused_step: {names.path(p)} must have a place in memory for each entry; got one that is expanded."
            )
    for a, b in map(sorted, ranges.overlapping()):
        if _share(library, leaves[a], leaves[b]):
            raise ValueError(
                f"fused_step: {names.path(a)} and {names.path(b)} share memory, and both are updated in place. Keep "
                f"one of them in the tree, or a copy."
            )


def _share(library: Backend | None, x: Any, y: Any) -> bool:
    """Whether two arrays whose ranges overlap have an entry in common."""
    if library is None and not same_library(x, y):
        return True
    return (library or backend(x)).shares_memory(x, y)
