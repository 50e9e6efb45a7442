"""The command line: Hydra apps that speak to people."""
