"""Decide everything: which steps a site has, in which order, and what stands in each."""
