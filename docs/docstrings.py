"""What the reference makes of the project's docstrings.

``Example:`` is the section of examples; ``Source:`` is a paragraph; the comment behind a field of a state is its
description; and a public name in single backticks is a link.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import griffe

NAME = re.compile(r"(?<!`)`(\w+)`(?!`)")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
SOURCE = re.compile(r"^Source:\n((?:  .+\n?)+)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """The changes, made when a package has been read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        public = {name for name, member in pkg.members.items() if member.is_alias and pkg.name == "arrayopt"}
        for thing in everything(pkg):
            if thing.is_attribute and thing.docstring is None:
                comment = comment_of(thing)
                thing.docstring = griffe.Docstring(comment, parent=thing) if comment else None
            if thing.docstring is not None:
                thing.docstring.value = rewritten(thing.docstring.value, public - {thing.name})


def everything(thing: griffe.Object) -> list[Any]:
    """A module or class and all that is in it."""
    own = [member for member in thing.members.values() if not member.is_alias]
    return [thing, *[deeper for member in own for deeper in everything(member)]]


def comment_of(field: griffe.Attribute) -> str:
    """The comment behind the field of a NamedTuple."""
    if not field.parent.is_class or not field.lineno:
        return ""
    line = field.lines_collection[field.filepath][field.lineno - 1]
    _, _, comment = line.partition("  # ")
    return comment


def rewritten(text: str, public: set[str]) -> str:
    """A docstring with its examples found and its names linked."""
    text = EXAMPLE.sub("Examples:", inspect.cleandoc(text))
    text = SOURCE.sub(lambda match: f"**Source:** {' '.join(match[1].split())}\n", text)
    return NAME.sub(lambda match: f"[`{match[1]}`][arrayopt.{match[1]}]" if match[1] in public else match[0], text)
