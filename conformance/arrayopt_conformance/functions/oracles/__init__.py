"""Functions a second time: plain NumPy in double precision, from their definitions; a module for each room."""
