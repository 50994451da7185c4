"""ssmq."""
