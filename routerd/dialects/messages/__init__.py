"""The door for clients that speak Anthropic's Messages."""
