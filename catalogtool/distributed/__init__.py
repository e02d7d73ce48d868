"""The only code that knows Ray: where training and inference are placed, and how they fail."""
