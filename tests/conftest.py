"""Settings of all tests: the same examples on every machine, and no timing."""

from hypothesis import settings

settings.register_profile("multisi", deadline=None, derandomize=True)
settings.load_profile("multisi")
