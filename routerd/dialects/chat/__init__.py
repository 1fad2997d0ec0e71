"""The chat door: OpenAI's chat completions as clients speak them."""
