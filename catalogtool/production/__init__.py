"""What one production does, in which order, and what it found; no Ray."""
