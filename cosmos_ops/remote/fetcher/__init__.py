"""The program that downloads model files in a container on a host: the standard library alone, Python 3.9 or newer.

Its files are sent to the host as they are; `places` has what both sides must agree on, `main` where it begins.
"""
