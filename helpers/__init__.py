"""Package that the lessons of *Machine Learning in X-ray Spectral Timing* share."""
