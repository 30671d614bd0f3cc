"""Render steps, write and compare folders, and say what is in one."""
