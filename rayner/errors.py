"""The errors a user may meet, named by what the job does about them.

A job turns each into one message and an exit code (see `rayner.cli.exit_codes`): no traceback for a wrong input.
"""


class RaynerError(Exception):
    """Base of all errors raised on purpose; the job ends with `exit_code`."""

    exit_code = 1


class ConfigError(RaynerError):
    """A setting is wrong: the message names the key, what was expected and what was found."""

    exit_code = 2


class DataError(RaynerError):
    """An input is wrong: the message names the file and line, what was expected and what was found."""

    exit_code = 2


class DamagedFileError(DataError):
    """A file that rayner wrote for itself is damaged: the message names the file, what was found and what to do.

    The caller that can make the file again from other files catches this error and does so.
    """


class JobError(RaynerError):
    """The job cannot go on, through no fault of settings or input: the message says why and what to do."""

    exit_code = 1


class NotFiniteError(JobError):
    """Weights, a rule or a prediction hold NaN or infinity: the message names the file or the text, and the number."""


class NotFiniteFileError(NotFiniteError, DamagedFileError):
    """A JSON file that rayner wrote for itself holds a number that is not finite."""


class TooManySetAsideError(RaynerError):
    """The job is done, but more segments were set aside than `tag.max_set_aside` allows."""

    exit_code = 3
