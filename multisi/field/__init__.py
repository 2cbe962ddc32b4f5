"""The field: conditional means, exact or learned, and what they say at a point."""
