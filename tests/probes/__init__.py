"""Tests of the images under test: the service, the dependency sets and the probes."""
