"""Mistakes in Adamax."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("the greatest does not decay", "at_least(magnitude(g) + eps, b2 * nu)", "at_least(magnitude(g) + eps, nu)"),
    Edit("ε outside the maximum", "at_least(magnitude(g) + eps, b2 * nu)", "at_least(magnitude(g), b2 * nu) + eps"),
    Edit("v corrected too", "unbias(mu / nu, b1, t)", "unbias(mu / unbias(nu, b2, t), b1, t)"),
]
