"""Runs that others have published, by their protocols."""
