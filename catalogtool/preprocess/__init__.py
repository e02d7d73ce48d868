"""From survey pixels to what networks see: per cutout, deterministic."""
