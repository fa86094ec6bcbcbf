"""The dashboard: six pages and a question form, rendered here, useful without JavaScript."""
