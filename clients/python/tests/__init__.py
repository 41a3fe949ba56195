"""What the client promises, held against a real service."""
