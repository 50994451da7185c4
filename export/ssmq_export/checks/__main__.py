"""Print the page of rules: ``python -m ssmq_export.checks > docs/rules.md``."""

from . import catalogue

print(catalogue.catalogue_markdown(), end="")
