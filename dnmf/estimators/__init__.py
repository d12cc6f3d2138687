"""scikit-learn's contract: `NMF`, `MiniBatchNMF` and `non_negative_factorization`, for X of any size."""
