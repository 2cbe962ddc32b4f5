"""Moving samples: the grid of times, the integration, the transport."""
