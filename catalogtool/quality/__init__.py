"""What a person looks at to judge a catalog."""
