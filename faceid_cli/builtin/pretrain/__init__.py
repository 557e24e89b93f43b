"""Recipes that train the built-in model and its judge from nothing but the portrait world. See README.md here."""
