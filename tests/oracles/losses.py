"""The loss terms of TEMOS and TEACH in float64, number by number."""

import numpy as np


def huber(a, b):
    distance = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    return np.where(distance < 1, distance**2 / 2, distance - 0.5)


def kl(q, p_mu=0.0, p_logvar=0.0):
    """Returns the KL divergence from a Gaussian, by default the standard normal."""
    mu, logvar = np.asarray(q.mu, np.float64), np.asarray(q.logvar, np.float64)
    spread = np.exp(logvar) + (mu - p_mu) ** 2
    return 0.5 * (spread / np.exp(p_logvar) - 1 + p_logvar - logvar)
