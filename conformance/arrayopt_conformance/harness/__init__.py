"""Ways to make arrays, or to run functions, under which code that is not portable fails.

Each module here catches a class of mistakes that the libraries, used plainly, let pass. ``sins`` holds one bad rule
for each mistake, to prove it.
"""
