"""Arrays in, catalog columns out; torch, no Ray."""
