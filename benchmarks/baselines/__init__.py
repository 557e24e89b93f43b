"""The methods that quality.py compares, all on one base model and behind one interface: peers, not part of faceid."""

from benchmarks.baselines.interface import Learned, Method, Settings
from benchmarks.baselines.methods import METHODS

__all__ = ["METHODS", "Learned", "Method", "Settings"]
