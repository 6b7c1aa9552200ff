"""What can go wrong, told to a person."""


class Failure(Exception):
    """What failed, and what to do or what was said about it."""

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.hint = hint
