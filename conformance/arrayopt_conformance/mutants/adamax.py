"""Mistakes in Adamax."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("the greatest does not decay", "at_least(magnitude(g) + eps, b2 * nu)", "at_least(magnitude(g) + eps, nu)"),
    Edit("ε outside the maximum", "at_least(magnitude(g) + eps, b2 * nu)", "at_least(magnitude(g), b2 * nu) + eps"),
    Edit("v corrected too", "/ nu, mu, nu", "/ unbias(nu, b2, t), mu, nu"),
]
