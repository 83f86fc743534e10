"""Labels made, checked and balanced without training anything."""
