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
    Edit("exponent ignored", "- offset, 0.0), exponent)", "- offset, 0.0), 0.5)"),
    Edit("offset ignored", "real(state.count) - offset", "real(state.count)"),
    Edit("decay of the next step", "real(state.count) - offset, 0.0)", "real(state.count) + 1.0 - offset, 1.0)"),
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
    "_factored: finite = summable(g, count=g.shape[axes[0]] if axes else 1) -> "
    "finite = summable(g, count=g.shape[axes[0]] if axes else 2)": "as far from overflow as need be, or farther",
    "_factored: return (g / sqrt(v) + bad, v_row, v_col, v) -> return (g / sqrt(v) - bad, v_row, v_col, v)": (
        "it is 0 or NaN"
    ),
    "_factored: return (g / spread(row, first) / spread(sqrt(v_col), second) + bad, v_row, v_col, v) -> "
    "return (g / spread(row, first) / spread(sqrt(v_col), second) - bad, v_row, v_col, v)": "it is 0 or NaN",
    "update: if with_params: -> if not with_params:": "who asks for the parameters: a law of bad trees looks at that",
    "_factored: level = mean(v_row, second - 1 if second > first else second, keepdims=True) -> "
    "level = mean(v_row, second - 1 if second >= first else second, keepdims=True)": "two axes are never the same",
    "_factored: return (g / sqrt(v) + bad, v_row, v_col, v) -> return (g / sqrt(v) + bad, v_col, v_row, v)": (
        "of a leaf that is not factored both are one zero"
    ),
}
