"""Arrays of every library as scalars. Type checkers read this (`test_project`); nothing runs it."""

import jax.numpy as jnp
import numpy as np
import torch

import arrayopt

arrayopt.scale(np.asarray(-0.1))
arrayopt.scale(np.float32(-0.1))
arrayopt.scale(np.zeros((2, 2))[0, 0])
arrayopt.scale(jnp.asarray(-0.1))
arrayopt.scale(torch.tensor(-0.1))
arrayopt.chain(arrayopt.clip_by_global_norm(np.asarray(1.0)), arrayopt.adamw(jnp.asarray(0.1), b1=torch.tensor(0.9)))
arrayopt.adam(lambda k: 0.1 * 0.5**k)
arrayopt.scale_gradient(np.ones(3), np.asarray(2.0))
