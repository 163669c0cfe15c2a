"""How people and schedules reach the flows: the `cosmos` command, the server, the deployments."""
