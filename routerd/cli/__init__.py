"""The `routerd` command; a subcommand's module is imported only when it runs."""
