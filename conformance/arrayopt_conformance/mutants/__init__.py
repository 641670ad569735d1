"""Proof that the conformance suite notices: rules changed in one place, each of which must fail tier 64.

A file here, named after a room of arrayopt, holds what concerns it: ``NAMED``, mistakes that people make, and
``EQUIVALENT``, automatic mutants that compute the same, with the reason. Both are found by looking.
"""
