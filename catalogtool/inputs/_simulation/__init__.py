"""Simulated galaxies: what they are, how bright in every band, how drawn, how voted on."""
