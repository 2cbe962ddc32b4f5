"""Helpers shared by all subpackages: arrays, checks, devices, seeds, processes, derivatives."""
