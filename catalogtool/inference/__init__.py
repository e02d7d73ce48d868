"""Trained networks over units of cutouts: arrays in, catalog parts out."""
