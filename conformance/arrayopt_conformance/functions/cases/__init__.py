"""Cases of functions: each module has a list ``CASES``."""
