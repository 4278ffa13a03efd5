"""What every unit test has."""

from hypothesis import settings

# how long an example takes is this machine's affair
settings.register_profile("lab", deadline=None)
settings.load_profile("lab")
