"""Mistakes in what keeps updates from doing harm."""

from arrayopt_conformance.mutants.engine import Edit

NAMED: list[Edit] = []

_REAL = "moved = namespace(moved).real(moved) if {}dtypes.is_complex(moved.dtype) else moved"
_KEPT = "return where(moved {} 0, -p if narrow is None else {}, g)"
_USUAL = _KEPT.format("<", "-shortened(p, narrow)")
_LIFTED = "return (lift(who, _within, updates, params=params, narrow=_narrowest({})), state)"

_MET = "updates = spec.unflatten(Meeting(gs, flatten(state.found_nan)[0]).received(gs))"

EQUIVALENT = {
    f"update: {_MET} -> deleted": "all are of one library; a law looks at NumPy's beside JAX's",
    **{
        f"_within: {_REAL.format('')} -> {other}": "NumPy orders complex numbers, by their real parts first"
        for other in (_REAL.format("not "), "deleted")
    },
    f"_within: {_USUAL} -> {_KEPT.format('<=', '-shortened(p, narrow)')}": "where p + g is 0, −p is g",
    **{
        f"_within: {_USUAL} -> {_KEPT.format('<', other)}": "all are of one dtype; a test looks at others"
        for other in ("-p", "shortened(p, narrow)")
    },
    f"update: {_LIFTED.format('updates, params')} -> {_LIFTED.format('params, updates')}": "all are of one dtype",
}
