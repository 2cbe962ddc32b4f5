"""Dynamics along a path: the probability flow, the diffusion, and the arc length."""
