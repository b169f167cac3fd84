"""The script of a text, traditional or simplified: recognise it by its characters, and convert it one by one."""
