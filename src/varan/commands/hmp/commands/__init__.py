"""The human monitor's commands, one file per group."""
