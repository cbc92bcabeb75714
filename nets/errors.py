"""The one exception that stands for a mistake of the user's."""


class UserError(Exception):
    """Says in one line what was given and what is valid; the launcher prints it and exits 2."""


def missing(use: str, package: str, extra: str) -> UserError:
    """The error of a `use` ("BLEU") whose package is not installed; it names the extra."""
    return UserError(
        f"{use} needs {package}: run `pip install -e '.[{extra}]'` in the folder of this project, "
        f"or `pip install {package}`."
    )
