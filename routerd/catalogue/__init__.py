"""What is known about providers and models without asking anybody: data, and the code that reads it."""
