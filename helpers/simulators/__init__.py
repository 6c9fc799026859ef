"""Simulators of what a detector records, batched over their parameters, on any device."""
