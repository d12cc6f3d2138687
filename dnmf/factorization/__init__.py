"""`factorize`, `resume`, `submit`, `transform`: the session, the first factors, the loop."""
