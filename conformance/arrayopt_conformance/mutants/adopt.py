"""Mistakes in ADOPT."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("normalised by the new v", "at_least(sqrt(nu), eps)", "at_least(sqrt(ema(nu, abs2(g), b2)), eps)"),
    Edit("clipped as one step later", "(real(k))", "(real(k) + 1)"),
    Edit("first step not skipped", "mu = where(first, mu, ema(mu, r, b1))", "mu = ema(mu, r, b1)"),
    Edit("v not begun with g²", "nu = where(first, abs2(g), ema(nu, abs2(g), b2))", "nu = ema(nu, abs2(g), b2)"),
    Edit("ε added, not a floor", "at_least(sqrt(nu), eps)", "(sqrt(nu) + eps)"),
    Edit("clipped from above only", "r = limit(r, bound)", "r = where(r > bound, bound, r)"),
]
