"""β-divergences other than least squares, by the multiplicative rule."""
