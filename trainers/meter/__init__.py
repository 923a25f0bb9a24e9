"""What both stages of meter reading share in training: sources of meters, augmentation, metrics, reports."""
