"""PURE: one matrix, shown in six ways. Nothing is decided here."""
