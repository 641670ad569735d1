"""Mistakes in AdEMAMix."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("no slow mean", "(m1_hat + alpha * m2)", "m1_hat"),
    Edit("slow mean with β₁", "m2 = ema(m2, g, b3)", "m2 = ema(m2, g, b1)"),
    Edit("slow mean corrected", "alpha * m2)", "alpha * unbias(m2, b3, t))"),
    Edit("fast mean not corrected", "m1_hat = unbias(m1, b1, t)", "m1_hat = m1"),
    Edit(
        "β₃ of the next step",
        "slow = at(state.count_m2, b3=b3, alpha=alpha)",
        "slow = {**at(t, b3=b3), **at(state.count_m2, alpha=alpha)}",
    ),
]
