"""Ground for all rooms: arrays, checks, devices, seeds, progress, processes, derivatives."""
