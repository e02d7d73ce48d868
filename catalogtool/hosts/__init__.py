"""Hosts of transients: sources in a wide cutout, and which of them it is. No torch, no Ray."""
