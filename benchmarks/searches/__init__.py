"""Searches side by side: conditional and mixed spaces, architectures, time of an ask.

`python -m benchmarks.searches run`, then `report`; `python -m benchmarks.searches.ask`
for the times, `python -m benchmarks.searches.architectures` for tables of networks.
"""
