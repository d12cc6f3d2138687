"""Least squares over the entries that are there, Σ ω (y − m)²: missing entries have weight 0."""
