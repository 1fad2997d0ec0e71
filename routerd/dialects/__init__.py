"""One provider API a file, pure: what is asked of a provider, and what its answer says."""
