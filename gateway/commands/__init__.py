"""What can be typed: a module a subject, each with its `COMMANDS`. What a command needs is imported when it runs."""
