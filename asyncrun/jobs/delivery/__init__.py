"""`delivery: batch`: what a job has to send waits at a provider for half the price; a phase before the ordinary one."""
