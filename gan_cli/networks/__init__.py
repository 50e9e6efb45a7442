"""Networks that only map: sizes come from the data, discriminators return logits."""
