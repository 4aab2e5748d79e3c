"""Jobs: long operations that can be watched, paused, cancelled, and finished together."""
