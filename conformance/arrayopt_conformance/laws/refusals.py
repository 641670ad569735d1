"""What "one clear error" means: a ValueError or TypeError that begins with who complains and says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arrayopt_conformance.laws.recipe import Recipe


def refused(make: Recipe, what: str, attempt: Callable[[], Any], *names: str) -> bool:
    """Whether it is refused, and properly so.

    Args:
      make: whose name the message must begin with.
      what: was attempted, for our own message.
      attempt: does it.
      *names: of arguments, or paths, that the message must contain.

    Raises:
      AssertionError: it fails in another way, or with an error that does not say who and where.
    """
    try:
        attempt()
    except (ValueError, TypeError) as error:
        _assert_clear(make, what, str(error), names)
        return True
    except Exception as error:
        raise AssertionError(f"{what} fails with {type(error).__name__}: {error}") from error
    return False


def _assert_clear(make: Recipe, what: str, message: str, names: tuple[str, ...]) -> None:
    if make.name is None:
        return
    speakers = (make.name,) if isinstance(make.name, str) else make.name
    begins = any([message.startswith(f"{speaker}: ") for speaker in speakers])
    assert begins, f"{what}: the error does not begin with {' or '.join(speakers)}: {message}"
    for name in names:
        assert name in message, f"{what}: the error does not name {name}: {message}"
