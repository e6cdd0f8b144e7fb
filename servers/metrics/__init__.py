"""What a server exports, read when it is scraped."""
