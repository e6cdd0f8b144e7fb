"""What a server exports, read at each scrape."""
