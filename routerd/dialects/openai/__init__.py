"""OpenAI's chat completions straight through: what is read of them, what is changed."""
