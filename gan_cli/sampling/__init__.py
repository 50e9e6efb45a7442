"""What each mode of gan-sample draws."""
