"""What to do on a day when a GPU is at hand: ``python -m arrayopt_conformance.gpu --minutes 8 --json FILE``.

Nothing of this runs in the tests but its rehearsal: the machines that they run on have no GPU.
"""
