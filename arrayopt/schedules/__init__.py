"""Hyper-parameters that change over steps: functions of the step count 0, 1, …

Each takes a Python int, and answers a float computed in double; or a 0-d integer array, and answers a 0-d array
of the widest real dtype its library has at hand. A constant is answered as it was given.
"""

from arrayopt.schedules.decays import constant_schedule as constant_schedule
from arrayopt.schedules.decays import cosine_decay_schedule as cosine_decay_schedule
from arrayopt.schedules.decays import exponential_decay as exponential_decay
from arrayopt.schedules.decays import linear_schedule as linear_schedule
from arrayopt.schedules.decays import polynomial_schedule as polynomial_schedule
from arrayopt.schedules.joins import join_schedules as join_schedules
from arrayopt.schedules.joins import sgdr_schedule as sgdr_schedule
from arrayopt.schedules.joins import warmup_constant_schedule as warmup_constant_schedule
from arrayopt.schedules.joins import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from arrayopt.schedules.joins import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from arrayopt.schedules.pieces import cosine_onecycle_schedule as cosine_onecycle_schedule
from arrayopt.schedules.pieces import linear_onecycle_schedule as linear_onecycle_schedule
from arrayopt.schedules.pieces import piecewise_constant_schedule as piecewise_constant_schedule
from arrayopt.schedules.pieces import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from arrayopt.types import Schedule as Schedule
