"""The command line: arguments in, exit codes out. Nothing expensive is imported before a command runs."""
