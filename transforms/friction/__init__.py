"""Detectors of friction, one family a file; importing the package registers them all."""

from rejse.transforms.friction import contacts, links, time
from rejse.transforms.friction.evidence import KINDS

__all__ = ["KINDS", "contacts", "links", "time"]
