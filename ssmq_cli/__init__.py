"""The command line ``ssmq``: the only place where training, export and printing meet."""
