"""`gwsml analyze`: from strain to a report, for one event or many."""
