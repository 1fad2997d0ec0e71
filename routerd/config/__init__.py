"""The configuration as written (schema, load) and as run (runtime)."""
