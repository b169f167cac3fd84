"""Where each setting was written, for messages about wrong settings."""

from collections.abc import Mapping

COMMAND_LINE = "command line"


class SettingPlaces:
    """The place of each setting that a file or the command line gives: `FILE:LINE` or COMMAND_LINE.

    file: the file of settings; None without one.
    lines: the line of each dotted key in the file, sections included.
    """

    def __init__(self, file: str | None, lines: Mapping[str, int]) -> None:
        self._file = file
        self._places = {key: f"{file}:{line}" for key, line in lines.items()}

    def add_override(self, key: str, *, replaces_section: bool) -> None:
        """Record that the command line gives a setting, or a section with all its settings."""
        if replaces_section:
            self._places = {known: place for known, place in self._places.items() if not known.startswith(f"{key}.")}
        self._places[key] = COMMAND_LINE

    def add_to_message(self, message: str) -> str:
        """Put the place of a setting before a message that begins with the key and a colon.

        A message about a default value stays as it is.
        """
        place = self.find(message.partition(":")[0])
        return f"{place}: {message}" if place else message

    def describe(self, key: str) -> str:
        """Return the place of a key that the file or the command line gives. A key such as null has no line."""
        return self.find(key) or self._file or COMMAND_LINE

    def find(self, key: str) -> str | None:
        """Return the place of a setting, of a section around it, or of a setting in it; None for a default."""
        parts = key.split(".")
        for n in range(len(parts), 0, -1):
            if place := self._places.get(".".join(parts[:n])):
                return place
        return next((place for known, place in self._places.items() if known.startswith(f"{key}.")), None)
