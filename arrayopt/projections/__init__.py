"""Euclidean projections: the nearest point of a set, for the entries of a tree taken together as one vector.

Each is a function of arrays, of one library or in nested containers, and is computed in at least float32.
"""

from arrayopt.projections.boxes import projection_box as projection_box
from arrayopt.projections.boxes import projection_hypercube as projection_hypercube
from arrayopt.projections.boxes import projection_linf_ball as projection_linf_ball
from arrayopt.projections.boxes import projection_non_negative as projection_non_negative
from arrayopt.projections.l1 import projection_l1_ball as projection_l1_ball
from arrayopt.projections.l1 import projection_l1_sphere as projection_l1_sphere
from arrayopt.projections.l1 import projection_simplex as projection_simplex
from arrayopt.projections.l2 import projection_l2_ball as projection_l2_ball
from arrayopt.projections.l2 import projection_l2_sphere as projection_l2_sphere
from arrayopt.projections.planes import projection_halfspace as projection_halfspace
from arrayopt.projections.planes import projection_hyperplane as projection_hyperplane
from arrayopt.projections.planes import projection_vector as projection_vector
