"""FewCLUE's form of the idiom sentences: see `templates_chid`."""

from tasks.samples.templates_chid import generate_few as generate

__all__ = ["generate"]
