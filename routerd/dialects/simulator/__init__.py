"""The provider inside the process."""
