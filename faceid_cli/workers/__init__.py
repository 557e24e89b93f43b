"""Work given to other processes and machines: who does it, and what happens to the work of those who are lost.

Nothing here knows of pictures or people: a worker is made by a function, takes tasks, and returns answers.
"""
