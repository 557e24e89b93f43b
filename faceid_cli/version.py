"""The version of faceid: of the package, of what it writes, and of what it is asked for."""

__version__ = "0.1.0"
