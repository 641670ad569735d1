"""Which of Optax's tests there are to run, with which names in place, and which need not pass."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Group(NamedTuple):
    """Test files that belong together.

    Attributes:
      files: patterns of paths within Optax.
      namespace: of Optax, whose functions are ours during the tests; empty for the top level.
      names: which of them; empty for all.
      without: patterns of files that are left out.
      required: whether all is to pass; what is not required is run for the figures.
    """

    files: tuple[str, ...]
    namespace: str
    names: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    required: bool = True

    def paths(self, root: Path) -> list[str]:
        """The files, relative to Optax's folder."""
        found = {path for pattern in self.files for path in root.glob(pattern)}
        left_out = {path for pattern in self.without for path in root.glob(pattern)}
        return sorted([str(path.relative_to(root)) for path in found - left_out])


_STATELESS = ("set_to_zero", "stateless", "stateless_with_tree_map")

GROUPS = {
    "losses": Group(("losses/*_test.py",), "losses"),
    "projections": Group(("projections/*_test.py",), "projections"),
    "schedules": Group(("schedules/*_test.py",), "schedules", without=("schedules/_inject_test.py",)),
    "update": Group(("_src/update_test.py",), "", ("apply_updates", "incremental_update", "periodic_update")),
    "numerics": Group(("_src/numerics_test.py",), "", ("safe_increment", "safe_int32_increment"), required=False),
    "base": Group(
        ("_src/base_test.py",), "", (*_STATELESS, "EmptyState", "init_empty_state", "identity"), required=False
    ),
    "clipping": Group(("transforms/_clipping_test.py",), "transforms", required=False),
    "constraining": Group(("transforms/_constraining_test.py",), "transforms", required=False),
    "accumulation": Group(("transforms/_accumulation_test.py",), "transforms", required=False),
    "tree": Group(("tree_utils/*_test.py",), "tree_utils", required=False),
}

EXCUSED = {
    "_src/update_test.py::UpdateTest::test_none_argument_apply_updates": "an update of a None parameter is refused",
}
"""Tests that need not pass, as ``file::class::test`` with ``*`` for anything, each with the reason.

One that passes all the same is a failure: the entry is out of date.
"""

ABSENT = "arrayopt has no "
"""How a test that needs a missing name is told so."""
