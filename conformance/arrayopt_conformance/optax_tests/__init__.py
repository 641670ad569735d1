"""Optax's own tests, run with arrayopt's functions in the place of Optax's: ``python -m arrayopt_conformance.optax_tests``.

Nothing is copied: the tests are those that the installed Optax came with.
"""
