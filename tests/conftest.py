"""For all tests: how long one example takes says how busy the machine is, and nothing of what is tested."""

from hypothesis import settings

settings.register_profile("lab", deadline=None)
settings.load_profile("lab")
