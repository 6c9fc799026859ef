"""Simulation of the archive in data/: sources, pointings, and the measurements of an observer."""
