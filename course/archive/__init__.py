"""The factory of the simulated archive in data/: sources, pointings, and what an observer measures."""
