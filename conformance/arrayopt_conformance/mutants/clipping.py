"""Mistakes in clipping."""

from arrayopt_conformance.mutants.engine import Edit

NAMED: list[Edit] = []
