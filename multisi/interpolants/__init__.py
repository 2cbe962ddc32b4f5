"""Interpolants: maps from the simplex to the cone of non-negative weights."""

from multisi.interpolants.base import Interpolant as Interpolant
