"""How X is cut into strips that fit in the workers' memory. Pure functions of integers: nothing of X is read."""
