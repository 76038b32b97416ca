"""Families of tasks: what tasks of one kind share."""
