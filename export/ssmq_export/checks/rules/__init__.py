"""The rules, one a function, by subject."""
