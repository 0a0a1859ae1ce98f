"""What the lab raises when it could not do something."""


class LabError(Exception):
    """The lab could not be built, found or used; the text is one line for a person."""
