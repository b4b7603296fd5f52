"""Fakes and contract suites for users and plugin authors."""
