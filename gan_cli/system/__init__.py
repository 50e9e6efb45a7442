"""The machine: files, screen, signals, devices, processes. Nothing here is about GANs."""
