"""Fault injection: every script of a site is killed, starved, crowded and deceived, and loses nothing."""
