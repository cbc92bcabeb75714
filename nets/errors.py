"""The one exception that stands for a mistake of the user's."""


class UserError(Exception):
    """Says in one line what was given and what is valid; the launcher prints it and exits 2."""
