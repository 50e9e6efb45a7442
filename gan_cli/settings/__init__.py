"""What a config says and must mean, and the objects it stands for."""
