"""Mistakes in Adafactor."""

from arrayopt_conformance.mutants.engine import Edit

NAMED = [
    Edit(
        "axes by place, not by size",
        "*_, second, first = sorted(range(len(shape)), key=lambda axis: (shape[axis], axis))",
        "*_, second, first = range(len(shape))",
    ),
    Edit("rows not normalised", "row = sqrt(v_row / level)", "row = sqrt(v_row)"),
    Edit("rows normalised along a wrong axis", "second - 1 if second > first else second", "0"),
    Edit("exponent ignored", "(state.count - offset, 0)), exponent)", "(state.count - offset, 0)), 0.5)"),
    Edit("offset ignored", "state.count - offset", "state.count"),
    Edit("decay of the next step", "at_least(state.count - offset, 0)", "(at_least(state.count - offset, 0) + 1)"),
    Edit("nothing factored", "if not factored or len(shape) < 2:", "if True:"),
    Edit(
        "clipped before all else", "links.append(_link(_within_quick_rms,", "links.insert(0, _link(_within_quick_rms,"
    ),
    Edit("momentum corrected", "debias=False", "debias=True"),
    Edit(
        "decay scaled by the learning rate",
        "links.append(add_decayed_weights(",
        "links.insert(1, add_decayed_weights(",
    ),
]

EQUIVALENT = {
    "_factored: g = held(g, count=g.shape[axes[0]] if axes else 1) -> "
    "g = held(g, count=g.shape[axes[0]] if axes else 2)": "as far from overflow as need be, or a little farther",
    "update: if with_params: -> if not with_params:": "who asks for the parameters: a law of bad trees looks at that",
    "_factored: level = mean(v_row, second - 1 if second > first else second, keepdims=True) -> "
    "level = mean(v_row, second - 1 if second >= first else second, keepdims=True)": "two axes are never the same",
    "_factored: return (g / sqrt(v), v_row, v_col, v) -> return (g / sqrt(v), v_col, v_row, v)": (
        "of a leaf that is not factored both are one zero"
    ),
    "_factored_axes: return (first, second) if shape[second] >= least else None -> "
    "return (second, first) if shape[second] >= least else None": (
        "R·C/mean(R) is the same with R and C exchanged; the layout of the state is held to Optax's"
    ),
}
