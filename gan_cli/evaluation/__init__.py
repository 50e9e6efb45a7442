"""What a trained model is worth: metrics chosen for its data, each with its error."""
