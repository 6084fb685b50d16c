"""Read names, labels and codes in eight languages as concepts, points in time and units."""
