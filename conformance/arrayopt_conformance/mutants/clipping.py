"""Mistakes in clipping."""

from arrayopt_conformance.mutants.engine import Edit

NAMED: list[Edit] = []

_BACKEND = "max_norm = cast(backend(leaves[{}]).receive(bound), widest(leaves)) if is_array(bound) else bound"
_SHORTENED = "return _shortened(g, **_scales([g], threshold * math.sqrt(max(math.prod(g.shape), {}))))"
_GUARDED = "divisor, rest = (where(within, 1.0, {}), where(within, {}, {}))"

EQUIVALENT = {
    f"_within_rms: {_SHORTENED.format(1)} -> {_SHORTENED.format(0)}": "a leaf without entries stays without",
    f"_scales: {_GUARDED.format('divisor', '1.0', 'rest')} -> {_GUARDED.format('rest', '1.0', 'divisor')}": (
        "divided by one factor and by the other, in either order"
    ),
    **{
        f"_scales: {_GUARDED.format('divisor', '1.0', 'rest')} -> {_GUARDED.format('divisor', other, 'rest')}": (
            "what is within the norm is not divided"
        )
        for other in ("2.0", "0.0")
    },
    "_scales: return {'divisor': divisor, 'factor': where(within, 1.0, max_norm / rest + (rest - rest))} -> "
    "return {'divisor': divisor, 'factor': where(within, 1.0, max_norm / rest - (rest - rest))}": "it is 0 or NaN",
    **{
        f"update: {_BACKEND.format(0)} -> {_BACKEND.format(other)}": "all leaves are of one library"
        for other in (1, -1)
    },
    "update: return (updates, state) -> return (state, updates)": "of a tree without leaves; a law looks at that",
}
