"""Training: alignment, the SFT stages, and DR-SAPO."""
