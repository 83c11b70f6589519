"""What is seen: components that read the state and call the controller, and do nothing else."""
