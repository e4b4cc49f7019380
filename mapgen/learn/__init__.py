"""Training with torch: networks, samples, augmentation, losses and the loop. Nothing outside this folder needs torch to
train; it works on arrays and opens no imagery."""
