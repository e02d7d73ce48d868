"""Writing, verifying and reading catalogs as files."""
