"""Mistakes in chains."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit(
        "the gradients for every link", "updates, new = link.update(updates, old", "_, new = link.update(updates, old"
    ),
    Edit("the last link first", "in zip(links, cast(Any, state), strict=True)", "in reversed([*zip(links, state)])"),
    Edit("no parameters", "old, params, **extra_args)", "old, None, **extra_args)"),
    Edit("no extra arguments", "old, params, **extra_args)", "old, params)"),
]

_LINKS = "for link, old in zip(links, cast(Any, state), strict={}):"

EQUIVALENT = {
    f"update: {_LINKS.format(True)} -> {_LINKS.format(False)}": "lengths that differ have been refused before"
}
