"""The engine for arrays in the memory of a GPU: kernels in CUDA C++, for CuPy and for Torch.

Nothing of it has been run on a GPU yet. It is tested where there is none: the kernels are compiled for the host and
run there, and nvcc compiles them to PTX.
"""

from __future__ import annotations

from arrayopt_cuda.engine import CudaEngine as engine

__all__ = ["engine"]
