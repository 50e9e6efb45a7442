"""Measures of how near p_g is to p_data, as pure functions."""
