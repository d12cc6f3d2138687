"""Batches of rows, one after the other: the steps of a factorization that sees each row for a moment."""
