"""Mistakes in Adam and AdamW."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("ε inside the root", "sqrt(nu_hat + eps_root) + eps", "sqrt(nu_hat + eps_root + eps)"),
    Edit("ε̄ outside the root", "sqrt(nu_hat + eps_root) + eps", "sqrt(nu_hat) + eps_root + eps"),
    Edit("m not corrected", "mu_hat = unbias(mu, b1, t)\n", "mu_hat = mu\n"),
    Edit("v not corrected", "nu_hat = unbias(nu, b2, t)", "nu_hat = nu"),
    Edit("Nesterov corrects m by this step", "unbias(mu, b1, t + 1)", "unbias(mu, b1, t)"),
    Edit("Nesterov does not correct g", "(1 - b1) * unbias(g, b1, t)", "(1 - b1) * g"),
    Edit(
        "AdamW decays the gradient",
        """\
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
""",
        """\
        add_decayed_weights(weight_decay, mask),
        scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
""",
    ),
]
