"""Mistakes in masks."""

from arrayopt_conformance.mutants.engine import Edit

_PICK = "return below if flag else MaskedNode()"
_SEEN = "new, inner_state = tx.update(seen, inner_state, seen_params, **extra_args)"

NAMED = [
    Edit("the inner one where the mask is not", _PICK, "return MaskedNode() if flag else below"),
    Edit("hidden updates are zero", "return a if flag else b", "return a if flag else namespace(b).zeros_like(b)"),
    Edit("the inner one sees all parameters", _SEEN, _SEEN.replace("seen_params", "params")),
    Edit("a state that is not handed on", "MaskedState(inner_state)", "MaskedState(state.inner_state)"),
]

_CHOSEN = "return spec.unflatten([pick(flag, *subs) for flag, *subs in zip(flags, *below, strict={})])"
_FLAG = "return isinstance(leaf, bool) or type(leaf).__name__ in {}"
_ARRAY = "return is_array(leaf) and {} == () and (dtypes.name(leaf.dtype) == 'bool')"

_KNOWN = "state, updates = known(who, MaskedState, state, updates)"

EQUIVALENT = {
    f"_choose: {_CHOSEN.format(True)} -> {_CHOSEN.format(False)}": "there is one for each flag, or an error before",
    f"_is_flag: {_FLAG.format(('bool', 'bool_'))} -> {_FLAG.format(('bool_', 'bool'))}": "either will do",
    f"_is_flag_array: {_ARRAY.format('tuple(leaf.shape)')} -> {_ARRAY.format('leaf.shape')}": "it is a tuple",
    f"update: {_KNOWN} <-> made = made_for(updates if params is None else params)": (
        "the mask depends on structure, shapes and dtypes only, which stay as they are"
    ),
}
