"""The command line: `ocray` and its commands, one module a command."""
