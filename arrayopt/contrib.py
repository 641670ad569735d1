"""Rules under the names that Optax keeps in ``optax.contrib``."""

from arrayopt.optimizers.ademamix import ScaleByAdemamixState as ScaleByAdemamixState
from arrayopt.optimizers.ademamix import ademamix as ademamix
from arrayopt.optimizers.ademamix import scale_by_ademamix as scale_by_ademamix
from arrayopt.optimizers.adopt import adopt as adopt
from arrayopt.optimizers.adopt import scale_by_adopt as scale_by_adopt
