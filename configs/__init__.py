"""Configs that are installed with the package, by bare name."""
