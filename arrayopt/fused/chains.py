"""The same work on many numbers, each by itself, as on the step counts of a thousand parameters.

Most of them are equal, and then so is what comes of them: it is worked out once for each value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from arrayopt.fused.program import Arithmetic, Number, Operation

FEWEST = 8
"""How many numbers there must be for it to be worth while."""

MANY = -1


class Chain(NamedTuple):
    """Work that is done alike on several numbers.

    Attributes:
      code: on the first number known.
      links: for each number its place among those known, and the positions of the operations.
      wanted: which of these somebody else asks for.
    """

    code: tuple[Operation, ...]
    links: list[tuple[int, list[int]]]
    wanted: list[int]


def sources(work: Arithmetic) -> list[int | None]:
    """For each operation the number known that it comes of; `MANY` if there are several, None if there is none."""
    found: list[int | None] = []
    for _, _, operands in work.code:
        given = [_source(x, found) for x in operands]
        own = {place for place in given if place is not None}
        found.append(MANY if len(own) > 1 else next(iter(own), None))
    return found


def _source(x: Number, found: Sequence[int | None]) -> int | None:
    place: int = x.value if x.source != "number" else 0
    return None if x.source == "number" else place if x.source == "known" else found[place]


def chains(work: Arithmetic, kinds: str) -> list[Chain]:
    """What is done alike on integers.

    Args:
      work: all that is done.
      kinds: of the numbers known; where it is empty nothing is said.
    """
    own = sources(work)
    links: dict[int, list[int]] = {}
    for k, place in enumerate(own):
        if place is not None and place != MANY and kinds[place : place + 1] == "i":
            links.setdefault(place, []).append(k)
    if len(links) < FEWEST:
        return []
    groups: dict[Any, list[tuple[int, list[int]]]] = {}
    for place, positions in links.items():
        if _is_whole(work, positions):
            groups.setdefault(_key(work, positions), []).append((place, positions))
    asked, found = _asked(work, own), [group for group in groups.values() if len(group) >= FEWEST]
    return [Chain(_alone(work, group[0][1]), group, _wanted(group, asked)) for group in found]


def _key(work: Arithmetic, positions: Sequence[int]) -> Any:
    """Equal for what is the same work, on whichever number: 1, 1.0 and True are not the same, nor 0.0 and -0.0."""
    order = {k: j for j, k in enumerate(positions)}

    def told(x: Number) -> Any:
        return (x.source, repr(x.value)) if x.source == "number" else order[x.value] if x.source == "result" else None

    found = [work.code[k] for k in positions]
    return tuple([(op, dtype, *map(told, args)) for op, dtype, args in found])


def _wanted(links: Sequence[tuple[int, list[int]]], asked: set[int]) -> list[int]:
    """Which operations are asked for in some link."""
    return sorted({j for _, positions in links for j, k in enumerate(positions) if k in asked})


def _is_whole(work: Arithmetic, positions: Sequence[int]) -> bool:
    """Whether operations need no results but their own."""
    inside = set(positions)
    return all([x.source != "result" or x.value in inside for k in positions for x in work.code[k].args])


def _alone(work: Arithmetic, positions: Sequence[int]) -> tuple[Operation, ...]:
    """Operations as they would be if there were no others."""
    order = {k: j for j, k in enumerate(positions)}

    def moved(x: Number) -> Number:
        if x.source == "number":
            return x
        return Number("known", 0) if x.source == "known" else Number("result", order[x.value])

    return tuple([work.code[k]._replace(args=tuple(map(moved, work.code[k].args))) for k in positions])


def _asked(work: Arithmetic, own: Sequence[int | None]) -> set[int]:
    """The operations whose results are stored, answered, or looked at by what comes of other numbers."""
    found = {x.value for x in (*work.answers, *[x for _, x in work.stores]) if x.source == "result"}
    for k, operation in enumerate(work.code):
        found.update([x.value for x in operation.args if x.source == "result" and own[x.value] != own[k]])
    return found
