"""One read of X, by Dask or in this thread. An engine is told what to compute, never why: it knows no formulas."""
