"""Losses: functions of predictions and targets of any library, each Optax's in name, arguments, defaults and meaning.

They are computed in at least float32 and rounded once.
"""

from arrayopt.losses.regression import cosine_distance as cosine_distance
from arrayopt.losses.regression import cosine_similarity as cosine_similarity
from arrayopt.losses.regression import huber_loss as huber_loss
from arrayopt.losses.regression import l2_loss as l2_loss
from arrayopt.losses.regression import log_cosh as log_cosh
from arrayopt.losses.regression import squared_error as squared_error
