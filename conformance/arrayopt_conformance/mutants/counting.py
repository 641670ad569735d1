"""Mistakes in counting."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit("a state with one counter for all", "state = per_parameter(tx.init, params)", "state = tx.init(params)"),
    Edit("counters are read as one for all", "= per_parameter(tx.update, updates,", "= tx.update(updates,"),
    Edit("no parameters within", "tx.update, updates, state, params,", "tx.update, updates, state, None,"),
]

_NUMBER = "return is_array(x) and {} == () and dtypes.is_integer(x.dtype)"

EQUIVALENT = {f"_is_number: {_NUMBER.format('tuple(x.shape)')} -> {_NUMBER.format('x.shape')}": "it is a tuple"}
