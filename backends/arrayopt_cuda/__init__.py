"""The engine for arrays in the memory of a GPU: kernels in CUDA C++, for CuPy and for Torch.

It is tested where there is no GPU too: the kernels are compiled for the host and run there, and nvcc compiles them to
PTX. ``python -m arrayopt_conformance.gpu`` tries it on one.
"""

from __future__ import annotations

from arrayopt_cuda.engine import CudaEngine as engine

__all__ = ["engine"]
