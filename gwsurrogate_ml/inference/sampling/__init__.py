"""One event from proposals to weighted draws, round by round, kept on disk as it goes."""
