"""The terms of TEMOS's and TEACH's losses, number by number in float64."""

import numpy as np


def huber(a, b):
    distance = np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64))
    return np.where(distance < 1, distance**2 / 2, distance - 0.5)


def kl(q, p_mu=0.0, p_logvar=0.0):
    """The divergence of a Gaussian from another, by default the standard normal."""
    mu, logvar = np.asarray(q.mu, np.float64), np.asarray(q.logvar, np.float64)
    spread = np.exp(logvar) + (mu - p_mu) ** 2
    return 0.5 * (spread / np.exp(p_logvar) - 1 + p_logvar - logvar)
