"""What a config may hold and must mean, and the objects that it describes."""
