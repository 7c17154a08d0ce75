"""The rules that read a message; frozen: no new pattern is added."""
