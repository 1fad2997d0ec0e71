"""Amazon Bedrock's Converse as a dialect."""
