"""Anthropic's Messages as a dialect, at Anthropic itself and in the clouds."""
