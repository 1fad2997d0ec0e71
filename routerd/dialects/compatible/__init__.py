"""OpenAI's chat on the translating path: the many providers that speak it with an accent."""
