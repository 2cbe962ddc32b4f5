"""Data: the marginals, where their rows come from, and the units that they share."""
