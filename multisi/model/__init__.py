"""The model, and how it is loaded."""
