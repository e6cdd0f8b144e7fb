"""The lab over several hosts, which are network namespaces with addresses of their own."""
