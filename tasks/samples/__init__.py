"""Small records that ship with the package, one folder a task, and what makes them (see README.md)."""
