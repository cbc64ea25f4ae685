"""Training losses as (sum, count) terms."""
