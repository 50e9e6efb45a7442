"""Arrays and tables in files: what they hold, which part is data and which labels, and checks."""
