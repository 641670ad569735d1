"""Mistakes in clipping."""

from arrayopt_conformance.mutants.engine import Edit

NAMED: list[Edit] = []

EQUIVALENT = {
    f"_within_norm: divisor = where(within, 1.0, length) -> divisor = where(within, {other}, length)": (
        "the quotient is not selected where the divisor is not the length"
    )
    for other in ("2.0", "0.0")
}
