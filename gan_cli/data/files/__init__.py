"""Images in files: found, decoded, cached."""
