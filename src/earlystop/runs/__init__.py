"""The machinery: nothing here is an idea of the paper."""
