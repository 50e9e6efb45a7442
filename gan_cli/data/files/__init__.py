"""Images in files: listed, decoded, cached."""
