"""A small network trained by hand-written gradients, to see the optimizers at work on every library."""
