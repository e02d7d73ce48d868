"""Train on one survey, adapt to another, and write verified catalogs of every object."""

__version__ = "0.1.0"
