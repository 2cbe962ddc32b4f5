"""Files: written whole or not at all; models, samples and pictures."""
