"""Games: who plays against whom, and for what loss. They know no optimizer, file or loop."""
