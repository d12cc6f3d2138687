"""What is kept of a factorization: the record, factors, generations, the lease, and how a run is opened again."""
