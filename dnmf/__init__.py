"""Non-negative matrix factorization, X ≈ W V, of Zarr matrices larger than memory: one read of X per iteration."""
