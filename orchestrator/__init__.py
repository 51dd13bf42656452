"""Build a matrix of container images, measure each one, start it, and compare."""

__version__ = "0.1.0"
