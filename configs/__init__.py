"""Configs that are installed with the package and loaded by their bare names."""
