"""Behaviour: what a model's answers say about how it listens. Pure functions from answers to results with interval, n and chance."""
