"""A machine as a Python object: composition of machine, commands and monitors, and the class users start from."""
