"""Many pictures at once: from files of rows to single pictures, each with its order, its seed and its file name.

Nothing here renders, or needs torch.
"""
