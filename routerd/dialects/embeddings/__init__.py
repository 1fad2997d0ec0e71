"""The embeddings door, and the forms of those who make vectors."""
