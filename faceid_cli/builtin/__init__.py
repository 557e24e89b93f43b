"""The built-in portrait world: drawn people, their captions, the judge that knows them, and the shipped model."""
