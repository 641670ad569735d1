"""The engine for arrays in the host's memory: kernels compiled by Numba, for NumPy and for Torch on the CPU."""

from __future__ import annotations

from arrayopt_numba.engine import NumbaEngine as engine

__all__ = ["engine"]
