"""What faceid can do: a file a verb, named as the command is. Verbs join the rooms, call back, and print nothing.

Every function raises subclasses of `FaceIDError` for what a user can cause. Rooms that need torch are imported inside
the functions, so that looking into the registry stays quick.
"""
