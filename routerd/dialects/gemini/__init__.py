"""Google's generateContent as a dialect, on AI Studio and Vertex."""
