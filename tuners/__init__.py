"""Hyperparameter sweeps over any trainer, on Ray Tune."""
