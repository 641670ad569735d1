"""Holds update rules and array libraries to what arrayopt promises."""
