"""The door for clients that speak OpenAI's Responses."""
