"""How exactly each rule computes in the dtypes people train in, against tolerances that are computed, not chosen."""
