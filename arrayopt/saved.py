"""States for readers that make only what they were told is harmless: ``torch.load(…, weights_only=True)``.

Torch is told when it is imported, by us or by anybody, before or after this package.
"""

from __future__ import annotations

import sys
from typing import Any

from arrayopt.base import GradientTransformation
from arrayopt.imports import when_imported
from arrayopt.tree.structure import is_namedtuple


def tell_torch(*rooms: str) -> None:
    """Has Torch take the state classes for harmless: to make one is to make a tuple.

    Args:
      rooms: names of the modules whose names they are.
    """
    values = [value for room in rooms for value in vars(sys.modules[room]).values()]
    kinds = [x for x in values if _is_state_class(x)]

    def tell(serialization: Any) -> None:
        if hasattr(serialization, "add_safe_globals"):
            serialization.add_safe_globals(kinds)

    when_imported("torch.serialization", tell)


def _is_state_class(value: Any) -> bool:
    return isinstance(value, type) and is_namedtuple(value) and not issubclass(value, GradientTransformation)
