"""Least squares, ‖Y − Lᵀ S‖²."""
