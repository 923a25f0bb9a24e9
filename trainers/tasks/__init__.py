"""One module per trainable model: its network, samples, loss, metrics and card. No loop and no Ray here."""
