"""The machine: files, screen, signals, devices, processes. Nothing here knows of GANs."""
