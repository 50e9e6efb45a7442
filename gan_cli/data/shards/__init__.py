"""Images in tar files that are read as a stream."""
