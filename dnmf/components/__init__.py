"""What components are, in numbers and in words: shares, sparseness, top features. Pure NumPy, and no read of X."""
