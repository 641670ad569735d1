"""Optax's own tests, with arrayopt's functions in place: ``python -m arrayopt_conformance.optax_tests``.

Nothing is copied: the tests are those that the installed Optax came with.
"""
