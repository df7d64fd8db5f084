"""What holds for every test: how long an example takes says something of the machine, and nothing of the product."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
