"""The door for clients that speak Google's generateContent."""
