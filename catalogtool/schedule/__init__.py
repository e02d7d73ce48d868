"""Nightly schedules: what is due, who runs it, and files for other schedulers."""
