"""From photos to face crops: finding faces, choosing one, cutting it out."""
