"""What the contract generates: messages, and the stubs of grpcio."""
