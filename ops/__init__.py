"""What Plaza runs in and behind: configuration, and the programs that check it."""
