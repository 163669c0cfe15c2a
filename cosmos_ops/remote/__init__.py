"""The only package that touches a machine: files, containers, processes."""
