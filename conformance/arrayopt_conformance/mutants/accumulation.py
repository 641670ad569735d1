"""Mistakes in averages and decaying sums."""

from arrayopt_conformance.mutants.engine import Edit

NAMED: list[Edit] = []

EQUIVALENT = {
    "_trace: return (in_range(g + decay * m, g) if nesterov else m, m) -> "
    "return (g + decay * m if nesterov else m, m)": "an update may overflow, if what is kept does not",
}
