"""Whole steps as few kernels: recording, splitting, engines."""

from arrayopt.fused.explain import Explanation as Explanation
from arrayopt.fused.step import FusedStep as FusedStep
from arrayopt.fused.step import fused_step as fused_step
