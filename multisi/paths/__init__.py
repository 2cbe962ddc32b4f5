"""Paths: curves on the simplex along which samples are moved."""

from multisi.paths.base import Path as Path
