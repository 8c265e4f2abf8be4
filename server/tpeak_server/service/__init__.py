"""The use cases: what happens to a study when a request arrives."""
