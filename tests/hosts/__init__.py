"""The lab on several hosts, which are network namespaces."""
