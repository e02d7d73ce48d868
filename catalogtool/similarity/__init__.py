"""Similar objects: nearest neighbours among the embeddings of a run. No torch, no Ray."""
