"""The one exception that stands for a mistake of the user's."""


class UserError(Exception):
    """One line that says what was given and what is valid; the launcher prints it and exits with 2."""
