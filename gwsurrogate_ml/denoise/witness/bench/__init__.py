"""What a witness cleaner is judged by: mocks with known optimum, the ladder of checks, baselines."""
