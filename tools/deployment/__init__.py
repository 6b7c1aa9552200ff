"""What tools/start, tools/stop and tools/status share: a deployment, on a cluster or on this machine."""
