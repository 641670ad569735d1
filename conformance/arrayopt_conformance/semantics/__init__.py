"""What each rule computes: held in double precision to its oracle, and to Optax where Optax has it."""
