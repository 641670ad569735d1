"""The rules, one to a file: equations, paper, state, formula, public functions."""
