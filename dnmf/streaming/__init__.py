"""Rows that come batch by batch: the steps of a factorization that sees each row for a moment."""
