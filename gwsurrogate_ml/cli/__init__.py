"""The command `gwsml`: one small module a command."""
