"""Mistakes in AdaBelief; the first was Optax's for four years."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit(
        "distance from the old mean",
        """\
    mu = ema(mu, g, b1)
    nu = ema(nu, abs2(g - mu), b2) + eps_root
""",
        """\
    nu = ema(nu, abs2(g - mu), b2) + eps_root
    mu = ema(mu, g, b1)
""",
    ),
    Edit(
        "ε̄ not kept in s",
        "return mu_hat / (sqrt(nu_hat) + eps), mu, nu",
        "return mu_hat / (sqrt(nu_hat) + eps), mu, nu - eps_root",
    ),
    Edit("s not corrected", "nu_hat = unbias(nu, b2, t)", "nu_hat = nu"),
    Edit("becomes Adam", "abs2(g - mu)", "abs2(g)"),
    Edit(
        "decay after the learning rate",
        'chain(*links, scale_by_learning_rate(checks.number("learning_rate", learning_rate)))',
        'chain(links[0], scale_by_learning_rate(checks.number("learning_rate", learning_rate)), *links[1:])',
    ),
]
