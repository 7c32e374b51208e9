"""Surrogates: their speed and scale, by themselves and beside others."""
