"""The data of a segment as a likelihood: exact, in an event's own basis, and the loudest template in it."""
