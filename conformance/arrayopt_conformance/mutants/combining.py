"""Mistakes in chains."""

from arrayopt_conformance.mutants.engine import Edit

_UPDATE = "updates, new = link.update(updates, old, params, **extra_args)"
_LINKS = "for link, old in zip(links, cast(Any, state), strict={}):"

NAMED = [
    Edit("the gradients for every link", _UPDATE, _UPDATE.replace("updates, new", "_, new")),
    Edit("the last link first", _LINKS.format(True), "for link, old in reversed([*zip(links, state)]):"),
    Edit("no parameters", _UPDATE, _UPDATE.replace("params", "None")),
    Edit("no extra arguments", _UPDATE, _UPDATE.replace(", **extra_args", "")),
]

EQUIVALENT = {
    f"update: {_LINKS.format(True)} -> {_LINKS.format(False)}": "lengths that differ have been refused before",
}
