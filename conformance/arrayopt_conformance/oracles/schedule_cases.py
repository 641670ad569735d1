"""Arguments of every schedule: between them every argument has a value that matters within k = 0 … 20."""

from . import Schedule

CASES: dict[str, Schedule] = {
    "constant": Schedule.of("constant_schedule", value=0.3),
    "linear": Schedule.of("linear_schedule", init_value=1.0, end_value=0.1, transition_steps=7),
    "linear_begin": Schedule.of(
        "linear_schedule", init_value=0.0, end_value=2.0, transition_steps=7, transition_begin=4
    ),
    "linear_never": Schedule.of("linear_schedule", init_value=0.5, end_value=2.0, transition_steps=0),
    "polynomial": Schedule.of("polynomial_schedule", init_value=1.0, end_value=0.2, power=3, transition_steps=9),
    "polynomial_root": Schedule.of(
        "polynomial_schedule",
        init_value=0.1,
        end_value=1.5,
        power=0.5,
        transition_steps=9,
        transition_begin=2,
    ),
    "polynomial_early": Schedule.of(
        "polynomial_schedule", init_value=0.1, end_value=1.5, power=2, transition_steps=9, transition_begin=-3
    ),
    "polynomial_never": Schedule.of(
        "polynomial_schedule", init_value=0.1, end_value=1.5, power=2, transition_steps=-1
    ),
    "exponential": Schedule.of("exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7),
    "exponential_stairs": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=0.7,
        transition_begin=2,
        staircase=True,
    ),
    "exponential_floor": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7, end_value=0.04
    ),
    "exponential_ceiling": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=1.4,
        transition_begin=4,
        end_value=0.3,
    ),
    "exponential_floor_above_start": Schedule.of(
        "exponential_decay",
        init_value=0.1,
        transition_steps=3,
        decay_rate=0.7,
        transition_begin=4,
        end_value=0.3,
    ),
    "exponential_early": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.7, transition_begin=-4
    ),
    "exponential_never": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=0, decay_rate=0.7, end_value=0.3
    ),
    "exponential_no_rate": Schedule.of(
        "exponential_decay", init_value=0.1, transition_steps=3, decay_rate=0.0, end_value=0.3
    ),
    "cosine": Schedule.of("cosine_decay_schedule", init_value=0.4, decay_steps=9),
    "cosine_shape": Schedule.of("cosine_decay_schedule", init_value=0.4, decay_steps=9, alpha=0.2, exponent=1.5),
    "warmup_cosine": Schedule.of(
        "warmup_cosine_decay_schedule", init_value=0.1, peak_value=1.0, warmup_steps=5, decay_steps=14
    ),
    "warmup_cosine_shape": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=0.1,
        peak_value=1.0,
        warmup_steps=5,
        decay_steps=14,
        end_value=0.25,
        exponent=2.0,
    ),
    "warmup_cosine_no_warmup": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=0.1,
        peak_value=1.0,
        warmup_steps=0,
        decay_steps=14,
        end_value=0.25,
    ),
    "warmup_cosine_no_peak": Schedule.of(
        "warmup_cosine_decay_schedule",
        init_value=1.0,
        peak_value=0.0,
        warmup_steps=5,
        decay_steps=14,
        end_value=0.25,
    ),
    "joined": Schedule.of(
        "join_schedules",
        schedules=[
            Schedule.of("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=4),
            Schedule.of("constant_schedule", value=0.9),
            Schedule.of("cosine_decay_schedule", init_value=0.8, decay_steps=6, alpha=0.1),
        ],
        boundaries=[4, 9],
    ),
    "steps": Schedule.of(
        "piecewise_constant_schedule", init_value=2.0, boundaries_and_scales={9: 0.1, 3: 0.5, 5: 3.0}
    ),
    "steps_early": Schedule.of("piecewise_constant_schedule", init_value=2.0, boundaries_and_scales={0: 0.5, 4: 0.0}),
    "steps_none": Schedule.of("piecewise_constant_schedule", init_value=2.0),
    "lines": Schedule.of(
        "piecewise_interpolate_schedule",
        interpolate_type="linear",
        init_value=0.3,
        boundaries_and_scales={12: 0.25, 5: 3.0, 6: 0.7},
    ),
    "cosines": Schedule.of(
        "piecewise_interpolate_schedule",
        interpolate_type="cosine",
        init_value=0.3,
        boundaries_and_scales={5: 3.0, 6: 0.7, 12: 0.25},
    ),
    "lines_early": Schedule.of(
        "piecewise_interpolate_schedule",
        interpolate_type="linear",
        init_value=0.3,
        boundaries_and_scales={0: 2.0, 5: 3.0},
    ),
    "lines_none": Schedule.of("piecewise_interpolate_schedule", interpolate_type="linear", init_value=0.3),
    "cosines_none": Schedule.of(
        "piecewise_interpolate_schedule", interpolate_type="cosine", init_value=0.3, boundaries_and_scales={}
    ),
    "linear_onecycle": Schedule.of("linear_onecycle_schedule", transition_steps=19, peak_value=2.0),
    "linear_onecycle_shape": Schedule.of(
        "linear_onecycle_schedule",
        transition_steps=17,
        peak_value=2.0,
        pct_start=0.4,
        pct_final=0.7,
        div_factor=4.0,
        final_div_factor=3.0,
    ),
    "cosine_onecycle": Schedule.of("cosine_onecycle_schedule", transition_steps=19, peak_value=2.0),
    "cosine_onecycle_shape": Schedule.of(
        "cosine_onecycle_schedule",
        transition_steps=17,
        peak_value=2.0,
        pct_start=0.6,
        div_factor=4.0,
        final_div_factor=3.0,
    ),
    "warmup_constant": Schedule.of("warmup_constant_schedule", init_value=0.1, peak_value=0.7, warmup_steps=6),
    "warmup_never": Schedule.of("warmup_constant_schedule", init_value=0.1, peak_value=0.7, warmup_steps=0),
    "warmup_exponential": Schedule.of(
        "warmup_exponential_decay_schedule",
        init_value=0.1,
        peak_value=0.7,
        warmup_steps=6,
        transition_steps=4,
        decay_rate=0.5,
    ),
    "warmup_exponential_shape": Schedule.of(
        "warmup_exponential_decay_schedule",
        init_value=0.1,
        peak_value=0.7,
        warmup_steps=6,
        transition_steps=3,
        decay_rate=0.5,
        transition_begin=2,
        staircase=True,
        end_value=0.2,
    ),
    "warm_restarts": Schedule.of(
        "sgdr_schedule",
        cosine_kwargs=[
            {"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 7},
            {"init_value": 0.1, "peak_value": 0.5, "warmup_steps": 3, "decay_steps": 8, "end_value": 0.2},
            {"init_value": 0.2, "peak_value": 0.3, "warmup_steps": 1, "decay_steps": 5, "exponent": 2.0},
        ],
    ),
    "warm_restarts_once": Schedule.of(
        "sgdr_schedule",
        cosine_kwargs=({"init_value": 0.0, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 7},),
    ),
}
